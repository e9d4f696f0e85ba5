//! How fast conditions are: prints figures, asserts none.

mod cel_support;

use std::time::{Duration, Instant};

use cel_support::World;
use wk_rules::cel::Program;

#[test]
fn evaluations_per_second() {
    let world = World::new();
    for text in [
        "amount > ether(\"1000\") && !(to in lists.treasury)",
        "amount > ether(\"2000\") && !(to in lists.treasury)",
        "topics[0] == 0x0202020202020202020202020202020202020202020202020202020202020202",
        "name.matches(\"^Vault [A-Z]$\")",
        "transfers.map(t, t.amount).sum() > 100",
        "amount * 10000 / (amount + tx.value) > 500",
    ] {
        let program = Program::condition(text, &world.env).unwrap();
        let start = Instant::now();
        let mut rounds = 0u32;
        while start.elapsed() < Duration::from_millis(100) {
            for _ in 0..1_000 {
                std::hint::black_box(program.holds(&world).unwrap());
            }
            rounds += 1_000;
        }
        let per_second = f64::from(rounds) / start.elapsed().as_secs_f64();
        println!("{:>12.0} evaluations/s  {text}", per_second);
    }
}
