//! The official SDKs of Tencent Cloud, unmodified, administer rooms in which people are.

use anyhow::Result;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tests_interop::{AdminServer, Administrator, Client, Peer, TencentSdk, Wire};

const APP: u64 = 1_400_000_000;

async fn join(server: &AdminServer, client: Client, room: &str, name: &str, codec: &str) -> Result<Peer> {
    Peer::start(client, name, &server.url(), &server.token(room, name)?, Wire::One, codec).await
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Asks until the records have caught up.
async fn records(
    admin: &mut Administrator,
    action: &str,
    params: &Value,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let answer = admin.call(action, params.clone()).await?;
        if wanted(&answer) {
            return Ok(answer);
        }
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "{action}: {answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Two in the room 1234, one in the room "1234": each is put out in its own way, everyone is told, the records know it.
async fn administer(sdk: TencentSdk, method: &str) -> Result<()> {
    let server = AdminServer::start().await?;
    let mut admin = server.sdk(sdk, method).await?;
    let mut anna = join(&server, Client::Python, "n:1234", "anna", "none").await?;
    anna.event("connected").await?;
    let mut boris = join(&server, Client::Python, "n:1234", "boris", "none").await?;
    let mut clara = join(&server, Client::Headless, "s:1234", "clara", "none").await?;
    boris.event("connected").await?;
    clara.event("onEnterRoom").await?;

    let users = json!(["boris", "nobody"]);
    admin.call("RemoveUser", json!({"SdkAppId": APP, "RoomId": 1234, "UserIds": users})).await?;
    assert_eq!(boris.event("disconnected").await?["reason"], "PARTICIPANT_REMOVED");
    assert_eq!(anna.event_by("left", "boris").await?["reason"], "PARTICIPANT_REMOVED");

    let span = |more: Value| {
        let mut params = json!({"SdkAppId": APP, "StartTime": now() - 600, "EndTime": now() + 60});
        if let (Some(params), Some(more)) = (params.as_object_mut(), more.as_object()) {
            params.extend(more.clone());
        }
        params
    };
    let both = |found: &Value| found["Total"] == 2;
    let rooms = records(&mut admin, "DescribeRoomInfo", &span(json!({"RoomId": "1234"})), both).await?;
    let of_anna = |room: &&Value| room["UserId"] == "anna" && room["IsFinished"] == false;
    let room = rooms["RoomList"].as_array().and_then(|rooms| rooms.iter().find(of_anna)).cloned();
    let room = room.ok_or_else(|| anyhow::anyhow!("{rooms}"))?;
    let of_room = span(json!({"CommId": room["CommId"], "PageSize": 5}));
    let left = |found: &Value| found["UserList"][1]["Finished"] == true;
    let stays = records(&mut admin, "DescribeUserInfo", &of_room, left).await?;
    assert_eq!(stays["UserList"][0]["UserId"], "anna");
    assert_eq!(stays["UserList"][1]["UserId"], "boris");

    let one = json!(["clara"]);
    admin.call("RemoveUserByStrRoomId", json!({"SdkAppId": APP, "RoomId": "1234", "UserIds": one})).await?;
    assert_eq!(clara.event("onExitRoom").await?["reason"], 1);
    admin.call("DismissRoom", json!({"SdkAppId": APP, "RoomId": 1234})).await?;
    assert_eq!(anna.event("disconnected").await?["reason"], "ROOM_DELETED");

    let mut dora = join(&server, Client::Headless, "s:lobby 1!", "dora", "none").await?;
    dora.event("onEnterRoom").await?;
    admin.call("DismissRoomByStrRoomId", json!({"SdkAppId": APP, "RoomId": "lobby 1!"})).await?;
    assert_eq!(dora.event("onExitRoom").await?["reason"], 2);

    let again = json!({"action": "DismissRoom", "params": {"SdkAppId": APP, "RoomId": 1234}});
    assert_eq!(admin.refused(&again).await?, "FailedOperation.RoomNotExist");
    let log = server.audit()?;
    let expected = [
        ["RemoveUser", "n:1234", "ok"],
        ["RemoveUserByStrRoomId", "s:1234", "ok"],
        ["DismissRoom", "n:1234", "ok"],
        ["DismissRoomByStrRoomId", "s:lobby 1!", "ok"],
        ["DismissRoom", "n:1234", "FailedOperation.RoomNotExist"],
    ];
    assert_eq!(log, expected.map(|line| line.map(str::to_owned)));
    server.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_by_post() -> Result<()> {
    administer(TencentSdk::Python, "POST").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_by_get() -> Result<()> {
    administer(TencentSdk::Python, "GET").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_sdk_by_post() -> Result<()> {
    administer(TencentSdk::Node, "POST").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_sdk_by_get() -> Result<()> {
    administer(TencentSdk::Node, "GET").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_international_python_sdk_by_post() -> Result<()> {
    administer(TencentSdk::PythonIntl, "POST").await
}

/// Voice and picture are stopped and freed: the others see both muted, one muted, none muted.
async fn block(method: &str) -> Result<()> {
    let server = AdminServer::start().await?;
    let mut admin = server.sdk(TencentSdk::PythonIntl, method).await?;
    let mut anna = join(&server, Client::Python, "n:7", "anna", "h264").await?;
    let mut boris = join(&server, Client::Python, "n:7", "boris", "none").await?;
    anna.event("published").await?;
    boris.hears("anna", Some(440.0)).await?;
    boris.sees("anna").await?;

    let number = |mute: u8| json!({"SdkAppId": APP, "RoomId": 7, "UserId": "anna", "IsMute": mute});
    let changes = [(1, "muted", 2), (3, "unmuted", 1), (2, "unmuted", 1), (0, "unmuted", 1)];
    for (mute, event, count) in changes {
        admin.call("SetUserBlocked", number(mute)).await?;
        for _ in 0..count {
            let told = |line: &Value| line["event"] == event && line["by"] == "anna";
            boris.wait_new(&format!("{event} for IsMute {mute}"), told).await?;
        }
    }
    let order = |action: &str, params: Value| json!({ "action": action, "params": params });
    let mut absent = number(1);
    absent["UserId"] = "nobody".into();
    assert_eq!(admin.refused(&order("SetUserBlocked", absent)).await?, "FailedOperation.UserNotExist");
    let mut wrong = number(1);
    wrong["IsMute"] = 4.into();
    assert_eq!(admin.refused(&order("SetUserBlocked", wrong)).await?, "InvalidParameter.IsMute");

    let text = json!({"SdkAppId": APP, "StrRoomId": "7", "UserId": "clara", "IsMute": 1});
    let order = order("SetUserBlockedByStrRoomId", text.clone());
    assert_eq!(admin.refused(&order).await?, "FailedOperation.RoomNotExist");
    let mut clara = join(&server, Client::Python, "s:7", "clara", "none").await?;
    clara.event("connected").await?;
    admin.call("SetUserBlockedByStrRoomId", text).await?;
    server.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_international_python_sdk_blocks_by_post() -> Result<()> {
    block("POST").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_international_python_sdk_blocks_by_get() -> Result<()> {
    block("GET").await
}

/// Every refusal arrives as the SDK's own exception, with its code and the RequestId.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_arrive_as_exceptions_of_every_sdk() -> Result<()> {
    let server = AdminServer::start().await?;
    let many: Vec<String> = (0..11).map(|number| format!("u{number}")).collect();
    let dismiss = |params: Value| json!({"action": "DismissRoom", "params": params});
    let good = json!({"SdkAppId": APP, "RoomId": 5});
    let cases = [
        (json!({"action": "DismissRoom", "params": good, "secretKey": "another"}), "AuthFailure.SignatureFailure"),
        (json!({"action": "DismissRoom", "params": good, "token": "temporary"}), "AuthFailure.TokenFailure"),
        (dismiss(good.clone()), "FailedOperation.RoomNotExist"),
        (dismiss(json!({"SdkAppId": 1, "RoomId": 5})), "UnauthorizedOperation.SdkAppId"),
        (dismiss(json!({"RoomId": 5})), "MissingParameter.SdkAppId"),
        (dismiss(json!({"SdkAppId": APP})), "MissingParameter.RoomId"),
        (dismiss(json!({"SdkAppId": APP, "RoomId": "five"})), "InvalidParameter.RoomId"),
        (dismiss(json!({"SdkAppId": APP, "RoomId": 4_294_967_295_u64})), "InvalidParameterValue.RoomId"),
        (
            json!({"action": "DismissRoomByStrRoomId", "params": {"SdkAppId": APP, "RoomId": "a/b"}}),
            "InvalidParameterValue.RoomId",
        ),
        (
            json!({"action": "RemoveUser", "params": {"SdkAppId": APP, "RoomId": 5, "UserIds": many}}),
            "InvalidParameter.UserIds",
        ),
        (json!({"action": "RemoveUser", "params": {"SdkAppId": APP, "RoomId": 5}}), "MissingParameter.UserIds"),
        (
            json!({"action": "DismissRoom", "general": true, "params": {"SdkAppId": APP, "RoomId": 5, "Why": "x"}}),
            "UnknownParameter",
        ),
        (json!({"action": "DismissRooms", "general": true, "params": good}), "InvalidAction"),
        (
            json!({"action": "DescribeRoomInfo", "params": {"SdkAppId": APP, "StartTime": 1, "EndTime": 2}}),
            "InvalidParameter.StartTimeExpire",
        ),
    ];
    for (sdk, method) in [
        (TencentSdk::Python, "POST"),
        (TencentSdk::Python, "GET"),
        (TencentSdk::PythonIntl, "POST"),
        (TencentSdk::Node, "POST"),
        (TencentSdk::Node, "GET"),
    ] {
        let mut admin = server.sdk(sdk, method).await?;
        for (order, expected) in &cases {
            assert_eq!(&admin.refused(order).await?, expected, "{sdk:?} {method} {order}");
        }
    }
    server.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_payload_is_served_and_the_limit_is_told() -> Result<()> {
    let server = AdminServer::start_with(1).await?;
    let mut admin = server.sdk(TencentSdk::Python, "POST").await?;
    let params = json!({"SdkAppId": APP, "RoomId": 5});
    let order = json!({"action": "DismissRoom", "params": params, "unsignedPayload": true});
    assert_eq!(admin.refused(&order).await?, "FailedOperation.RoomNotExist");
    // As often as it takes: a machine may be too slow for two within a second.
    for _ in 0..100 {
        if admin.refused(&order).await? == "RequestLimitExceeded" {
            server.shutdown().await;
            return Ok(());
        }
    }
    anyhow::bail!("the limit was never told")
}
