//! One call, one to one, 720p at 30 frames/s: processor and memory of each process, and whether memory grows.

use super::{STEP_TIMEOUT, connect, hang_up, headless, stats};
use crate::server::Server;
use crate::table::Table;
use crate::usage::{Usage, of_family};
use anyhow::Result;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
/// Frames of the film, which repeats.
const FRAMES: usize = 60;
/// The picture begins small and grows to its full size within this, where the machine has the time.
const GROWTH: Duration = Duration::from_secs(120);
/// Memory settles within this after that.
const SETTLE: Duration = Duration::from_secs(20);

/// Prints the table.
pub fn run(minutes: u64) -> Result<()> {
    let data = tempfile::tempdir()?;
    let film = data.path().join("film.y4m");
    write_film(&film)?;
    let film = film.to_string_lossy().into_owned();
    let server = Server::start(data.path(), &[])?;
    let mut alice = headless(&server, "alice", &["--no-meters", "--camera", &film], |_| {})?;
    let mut bob = headless(&server, "bob", &["--no-meters", "--camera", &film, "--mic", "tone:660"], |_| {})?;
    let (_, since) = connect(&mut alice, &mut bob)?;
    let growing = Instant::now();
    while stats(&mut alice)?["pictureSize"][0].as_u64() < Some(WIDTH as u64) && growing.elapsed() < GROWTH {
        std::thread::sleep(Duration::from_secs(1));
    }
    std::thread::sleep(SETTLE);
    let processes = [("server", server.id()), ("client of alice", alice.id()), ("client of bob", bob.id())];
    let look = || processes.map(|(_, id)| of_family(id));
    let (began, first, frames) = (Instant::now(), look(), frames(&stats(&mut alice)?));
    std::thread::sleep(Duration::from_secs(60 * minutes));
    let (last, numbers) = (look(), stats(&mut alice)?);
    let wall = began.elapsed();
    hang_up(&mut alice, &mut bob, since)?;

    let size = &numbers["pictureSize"];
    let rate = (self::frames(&numbers) - frames) as f64 / wall.as_secs_f64();
    let title = format!("One video call for {minutes} min; alice sees {}×{} at {rate:.1} frames/s", size[0], size[1]);
    let mut table = Table::new(&title, &["", "CPU, % of a core", "MiB, begin", "MiB, end", "growth, MiB"]);
    for (number, (name, _)) in processes.iter().enumerate() {
        let (before, after): (Usage, Usage) = (first[number], last[number]);
        let cpu = (after.processor.saturating_sub(before.processor)).as_secs_f64() / wall.as_secs_f64() * 100.0;
        let (begin, end) = (mebibytes(before.memory), mebibytes(after.memory));
        table.row(&[
            name,
            &format!("{cpu:.0}"),
            &format!("{begin:.1}"),
            &format!("{end:.1}"),
            &format!("{:+.1}", end - begin),
        ]);
    }
    print!("{}", table.text());
    println!(
        "  alice: {} packets came, {} lost, round trip {} ms",
        numbers["packetsReceived"], numbers["packetsLost"], numbers["roundTripMs"]
    );
    for client in [&mut alice, &mut bob] {
        client.say("quit")?;
        client.wait(STEP_TIMEOUT);
    }
    Ok(())
}

fn frames(stats: &serde_json::Value) -> i64 {
    stats["decodedFrames"].as_i64().unwrap_or_default()
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A gradient over which a textured square walks: as hard to encode as a person who moves.
fn write_film(path: &Path) -> Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    writeln!(file, "YUV4MPEG2 W{WIDTH} H{HEIGHT} F30:1 Ip A1:1 C420jpeg")?;
    let chroma = vec![128_u8; WIDTH * HEIGHT / 2];
    for frame in 0..FRAMES {
        writeln!(file, "FRAME")?;
        let left = frame * (WIDTH - 360) / FRAMES;
        let mut luma = Vec::with_capacity(WIDTH * HEIGHT);
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let inside = (left..left + 360).contains(&x) && (180..540).contains(&y);
                let texture = ((x - left.min(x)) * 7) ^ (y * 5);
                let value = if inside { 64 + texture % 128 } else { 40 + x * 100 / WIDTH + y * 60 / HEIGHT };
                luma.push(u8::try_from(value).unwrap_or(u8::MAX));
            }
        }
        file.write_all(&luma)?;
        file.write_all(&chroma)?;
    }
    Ok(file.flush()?)
}
