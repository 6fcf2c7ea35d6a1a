//! The border: addresses and lengths on one side, bytes on the other.
//!
//! Built for another target there is no host: logs go nowhere, nothing is remembered, and it is 1970. So tasks
//! can be tested as the plain functions they are.

#[cfg(target_arch = "wasm32")]
mod imports {
    #[link(wasm_import_module = "selvedge")]
    unsafe extern "C" {
        pub(super) safe fn now() -> i64;
        pub(super) fn log(stream: i32, address: *const u8, length: usize);
        pub(super) fn checkpoint_get(key: *const u8, key_length: usize, to: *mut u8, room: usize) -> i32;
        pub(super) fn checkpoint_put(key: *const u8, key_length: usize, at: *const u8, length: usize) -> i32;
    }
}

/// Makes room for the host to write an input.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
extern "C" fn selvedge_alloc(length: usize) -> *mut u8 {
    Box::leak(vec![0u8; length.max(1)].into_boxed_slice()).as_mut_ptr()
}

/// The input that the host has written.
pub(crate) fn input(address: usize, length: usize) -> Vec<u8> {
    if length == 0 {
        return Vec::new();
    }
    // SAFETY: the host passes what `selvedge_alloc` gave it for this length, once; that was a boxed slice of as
    // many bytes, all of them written.
    unsafe { Vec::from_raw_parts(address as *mut u8, length, length) }
}

/// Where the host finds the answer: address and length in one number. It stays until the instance goes.
pub(crate) fn output(bytes: Vec<u8>) -> u64 {
    let bytes = Box::leak(bytes.into_boxed_slice());
    ((bytes.as_ptr() as usize as u64) << 32) | bytes.len() as u64
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn now() -> i64 {
    imports::now()
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn log(stream: i32, text: &str) {
    // SAFETY: the host reads these bytes during the call.
    unsafe { imports::log(stream, text.as_ptr(), text.len()) }
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn checkpoint(key: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        // SAFETY: the host reads the key and writes at most `room` bytes, all of which are allocated.
        let found =
            unsafe { imports::checkpoint_get(key.as_ptr(), key.len(), bytes.as_mut_ptr(), bytes.len()) };
        let length = usize::try_from(found).ok()?;
        if length <= bytes.len() {
            bytes.truncate(length);
            return Some(bytes);
        }
        bytes.resize(length, 0);
    }
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn remember(key: &str, value: &[u8]) -> i32 {
    // SAFETY: the host reads these bytes during the call.
    unsafe { imports::checkpoint_put(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn now() -> i64 {
    0
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn log(_: i32, _: &str) {}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn checkpoint(_: &str) -> Option<Vec<u8>> {
    None
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn remember(_: &str, _: &[u8]) -> i32 {
    0
}
