//! What a module may import: the functions of `selvedge`, each of which copies bytes and asks the guest.

use selvedge::module::IMPORTS;
use wasmtime::{Caller, Engine, Extern, Linker, Memory};

use crate::call::{State, Stop};

type Host<'a> = Caller<'a, State>;

/// A linker that knows every import.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>, wasmtime::Error> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(IMPORTS, "now", |caller: Host<'_>| caller.data().guest.now())?;
    linker.func_wrap(IMPORTS, "log", |mut caller: Host<'_>, stream: i32, at: i32, length: i32| {
        let (bytes, state) = memory(&mut caller)?;
        state.guest.log(stream, part(bytes, at, length)?);
        Ok::<(), wasmtime::Error>(())
    })?;
    linker.func_wrap(
        IMPORTS,
        "checkpoint_get",
        |mut caller: Host<'_>, key: i32, key_length: i32, to: i32, room: i32| {
            let (bytes, state) = memory(&mut caller)?;
            let Some(value) = state.guest.checkpoint(part(bytes, key, key_length)?) else {
                return Ok::<i32, wasmtime::Error>(-1);
            };
            if value.len() <= room as u32 as usize {
                let end = to as u32 as usize + value.len();
                let target = bytes.get_mut(to as u32 as usize..end);
                target.ok_or_else(|| outside(to, value.len()))?.copy_from_slice(&value);
            }
            Ok(value.len() as i32)
        },
    )?;
    linker.func_wrap(
        IMPORTS,
        "checkpoint_put",
        |mut caller: Host<'_>, key: i32, key_length: i32, at: i32, length: i32| {
            let (bytes, state) = memory(&mut caller)?;
            let (key, value) = (part(bytes, key, key_length)?, part(bytes, at, length)?);
            Ok::<i32, wasmtime::Error>(state.guest.remember(key, value))
        },
    )?;
    Ok(linker)
}

/// The module's memory, and whom it asks.
fn memory<'a>(caller: &'a mut Host<'_>) -> Result<(&'a mut [u8], &'a mut State), wasmtime::Error> {
    let memory: Option<Memory> = caller.get_export(selvedge::module::MEMORY).and_then(Extern::into_memory);
    let memory = memory.ok_or_else(|| Stop::Contract("the module does not export its memory".to_owned()))?;
    Ok(memory.data_and_store_mut(caller))
}

fn part(memory: &[u8], at: i32, length: i32) -> Result<&[u8], wasmtime::Error> {
    let (start, length) = (at as u32 as usize, length as u32 as usize);
    memory.get(start..start + length).ok_or_else(|| outside(at, length).into())
}

fn outside(at: i32, length: usize) -> Stop {
    Stop::Contract(format!("the module names {length} bytes at {}, outside of its memory", at as u32))
}
