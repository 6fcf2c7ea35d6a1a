//! Tasks that do what no task should. Servers must go on as if nothing had happened.

use selvedge_guest::{Failure, export, print};

type Nothing = Result<(), Failure>;

/// Never comes back.
fn forever(_: Option<u64>) -> Nothing {
    let mut number = 1u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
    }
}

/// Panics, which is a trap.
fn panics(_: Option<u64>) -> Nothing {
    panic!("as it was asked to")
}

/// Wants all memory.
fn bomb(_: Option<u64>) -> Nothing {
    let mut kept = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
}

/// Answers more than anybody takes.
fn flood(_: Option<u64>) -> Result<String, Failure> {
    Ok("x".repeat(8 << 20))
}

/// Calls itself until there is no stack.
fn deep(depth: Option<u64>) -> Result<u64, Failure> {
    fn down(depth: u64) -> u64 {
        if std::hint::black_box(depth) == u64::MAX { 0 } else { down(depth + 1).wrapping_mul(3) + 1 }
    }
    Ok(down(depth.unwrap_or(0)))
}

/// Prints without end.
fn chatter(_: Option<u64>) -> Nothing {
    loop {
        print("and another thing");
    }
}

export!(forever, panics, bomb, flood, deep, chatter);

/// Names an answer that lies outside of its memory: past what [`export!`] allows.
#[unsafe(no_mangle)]
extern "C" fn astray(_: usize, _: usize) -> u64 {
    (0xffff_fff0 << 32) | 64
}

/// Answers bytes that are no JSON.
#[unsafe(no_mangle)]
extern "C" fn garbage(_: usize, _: usize) -> u64 {
    static BYTES: [u8; 4] = [0xff, 0xfe, 0, 1];
    ((BYTES.as_ptr() as usize as u64) << 32) | 4
}
