//! What is wrong with a wish can be said without a server; both sides ask the same rules.

use protocol::message::{CALLEE_LIMIT, InviteUser, PlaceCall, USER_DATA_LIMIT};
use protocol::{Code, Refusal, UserId};

fn wrong<T>(message: &str) -> Result<T, Refusal> {
    Err(Refusal::because(Code::BadParameter, message))
}

/// The rules of a new call: who and how much.
///
/// # Errors
/// [`Code::BadParameter`] with a sentence that says which rule.
pub fn check_placement(call: &PlaceCall, caller: &UserId) -> Result<(), Refusal> {
    check_callees(&call.callee_id_list, caller)?;
    check_ring(&call.user_data, call.timeout)?;
    if call.group_id.len() > 64 {
        return wrong("The group id has at most 64 bytes.");
    }
    Ok(())
}

/// The rules of an invitation into a running call.
///
/// # Errors
/// [`Code::BadParameter`] with a sentence that says which rule.
pub fn check_invitation(wish: &InviteUser, inviter: &UserId) -> Result<(), Refusal> {
    check_callees(&wish.callee_id_list, inviter)?;
    check_ring(&wish.user_data, wish.timeout)
}

fn check_callees(callees: &[UserId], caller: &UserId) -> Result<(), Refusal> {
    if callees.is_empty() || callees.len() > CALLEE_LIMIT {
        return wrong("A call rings 1 to 8 people.");
    }
    if callees.contains(caller) {
        return wrong("Nobody can call themselves.");
    }
    if callees.iter().enumerate().any(|(at, user)| callees[..at].contains(user)) {
        return wrong("Somebody is on the list twice.");
    }
    Ok(())
}

fn check_ring(user_data: &str, timeout: Option<u32>) -> Result<(), Refusal> {
    if user_data.len() > USER_DATA_LIMIT {
        return wrong("The user data has at most 4096 bytes.");
    }
    if timeout.is_some_and(|seconds| !(1..=600).contains(&seconds)) {
        return wrong("A call rings for 1 to 600 seconds.");
    }
    Ok(())
}
