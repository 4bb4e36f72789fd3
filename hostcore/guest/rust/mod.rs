//! A module as a core WebAssembly module in Rust: the ABI hostcore-core-1, see ../interface/core-abi.md.
//!
//! ```ignore
//! mod hostcore; // this folder, copied beside the module's file
//!
//! #[derive(Default)]
//! struct Echo;
//! impl hostcore::Module for Echo {
//!     fn handle_message(&mut self, topic: &str, payload: &str) -> hostcore::Reply {
//!         match topic {
//!             "echo" => Ok(Some(payload.to_string())),
//!             _ => Err(hostcore::fail("invalid-argument", "unknown topic")),
//!         }
//!     }
//! }
//! export!(Echo);
//! ```
//!
//! All texts are JSON.  `json` takes a small object apart; a module that needs more uses a crate such as serde_json.
//! A panic is logged and ends the instance.
#![allow(dead_code)]
mod exports;
pub mod json;
#[doc(hidden)]
pub use exports::{buffer, hook};

/// What went wrong, for the other side to act on.
#[derive(Clone, Debug)]
pub struct Error {
    pub code: String,
    pub message: String,
    /// JSON.
    pub details: Option<String>,
}

/// A value as JSON, or none.
pub type Reply = Result<Option<String>, Error>;

pub fn fail(code: &str, message: &str) -> Error {
    Error {
        code: code.to_string(),
        message: message.to_string(),
        details: None,
    }
}

/// The hooks of a module; those that it leaves out answer "unimplemented", or do nothing.
pub trait Module {
    fn initialize(&mut self, _config: &str) -> Result<(), Error> {
        Ok(())
    }
    fn handle_message(&mut self, _topic: &str, _payload: &str) -> Reply {
        Err(absent())
    }
    fn execute(&mut self, _input: &str) -> Result<String, Error> {
        Err(absent())
    }
    /// A JSON list, as in `[{"name": "echo", "version": "1.0"}]`.
    fn get_capabilities(&mut self) -> String {
        "[]".to_string()
    }
    fn get_state(&mut self) -> Result<String, Error> {
        Err(absent())
    }
    fn restore_state(&mut self, _state: &str) -> Result<(), Error> {
        Err(absent())
    }
    fn shutdown(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

fn absent() -> Error {
    fail("unimplemented", "the module has no such hook")
}

// Asking the host.

mod raw {
    #[link(wasm_import_module = "hostcore")]
    extern "C" {
        pub fn log(level: i32, text: *const u8, length: usize);
        pub fn call(
            op: *const u8,
            op_length: usize,
            argument: *const u8,
            length: usize,
            out: *mut u8,
            room: usize,
        ) -> u64;
        pub fn read(out: *mut u8, length: usize) -> i32;
    }
}
const ERROR: u64 = 1 << 63;
const NONE: u64 = 1 << 62;

/// Ask for anything of the list in core-abi.md.
pub fn ask(op: &str, argument: &str) -> Reply {
    let mut out = vec![0u8; 1024];
    // SAFETY: the host reads and writes only within the lengths that it is given, and keeps no pointer.
    let got = unsafe {
        raw::call(
            op.as_ptr(),
            op.len(),
            argument.as_ptr(),
            argument.len(),
            out.as_mut_ptr(),
            out.len(),
        )
    };
    let length = (got & 0xffff_ffff) as usize;
    if got & NONE != 0 {
        return Ok(None);
    }
    if length > out.len() {
        out.resize(length, 0);
        unsafe { raw::read(out.as_mut_ptr(), length) };
    }
    out.truncate(length);
    let text = String::from_utf8_lossy(&out).into_owned();
    if got & ERROR == 0 {
        return Ok(Some(text));
    }
    let field = |key| json::text(json::get(&text, key).unwrap_or(""));
    let details = json::get(&text, "details")
        .filter(|json| *json != "null")
        .map(str::to_string);
    Err(Error {
        code: field("code"),
        message: field("message"),
        details,
    })
}

#[derive(Clone, Copy)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Write to the module's own log.  Always there.
pub fn log(level: Level, message: &str) {
    unsafe { raw::log(level as i32, message.as_ptr(), message.len()) }
}

/// What this module is: `{"name", "version", "generation"}`.  Always there.
pub fn context_module() -> String {
    ask("context.module", "").ok().flatten().unwrap_or_default()
}

/// The message that is being handled: `{"id", "sender", "schema", "trace", "remaining_ms"}`.  Always there.
pub fn context_message() -> Option<String> {
    ask("context.message", "").ok().flatten()
}

/// Send a message, no reply wanted.  Permission: bus.
pub fn send(target: &str, topic: &str, payload: &str) -> Result<(), Error> {
    ask(
        "bus.send",
        &json::object(&[
            ("target", &json::quote(target)),
            ("topic", &json::quote(topic)),
            ("payload", payload),
        ]),
    )
    .map(drop)
}

/// Send a message and wait for the reply; 0 milliseconds: the host's own limit.  Permission: bus.
pub fn request(target: &str, topic: &str, payload: &str, timeout_ms: u32) -> Reply {
    let limit = if timeout_ms == 0 {
        String::new()
    } else {
        timeout_ms.to_string()
    };
    let (target, topic) = (json::quote(target), json::quote(topic));
    ask(
        "bus.request",
        &json::object(&[
            ("target", &target),
            ("topic", &topic),
            ("payload", payload),
            ("timeout_ms", &limit),
        ]),
    )
}

/// Tell every subscriber of a topic.  Permission: bus.
pub fn publish(topic: &str, payload: &str) -> Result<(), Error> {
    ask(
        "bus.publish",
        &json::object(&[("topic", &json::quote(topic)), ("payload", payload)]),
    )
    .map(drop)
}

/// Have messages whose topic matches delivered to `handle_message`.  Permission: bus.
pub fn subscribe(pattern: &str) -> Result<(), Error> {
    ask("bus.subscribe", pattern).map(drop)
}

pub fn unsubscribe(pattern: &str) -> Result<(), Error> {
    ask("bus.unsubscribe", pattern).map(drop)
}

/// A value of the module's own store; None: no such key.  Permission: kv.
pub fn kv_get(key: &str) -> Reply {
    ask("kv.get", key)
}

pub fn kv_set(key: &str, value: &str) -> Result<(), Error> {
    ask(
        "kv.set",
        &json::object(&[("key", &json::quote(key)), ("value", value)]),
    )
    .map(drop)
}

/// Whether it was there.  Permission: kv.
pub fn kv_delete(key: &str) -> Result<bool, Error> {
    Ok(ask("kv.delete", key)?.as_deref() == Some("true"))
}

/// A JSON list.  Permission: kv.
pub fn kv_keys(prefix: &str) -> Result<String, Error> {
    Ok(ask("kv.keys", prefix)?.unwrap_or_default())
}

/// Whether the module has a permission, as in "net:api.example.org:443".  Always there.
pub fn granted(permission: &str) -> bool {
    matches!(ask("cap.granted", permission), Ok(Some(answer)) if answer == "true")
}

/// Ask a service of the host; `args` and the result are JSON.  Permission: that of the service.
pub fn invoke(capability: &str, operation: &str, args: &str) -> Result<String, Error> {
    let (capability, operation) = (json::quote(capability), json::quote(operation));
    let asked = json::object(&[("capability", &capability), ("operation", &operation), ("args", args)]);
    Ok(ask("cap.invoke", &asked)?.unwrap_or_else(|| "null".to_string()))
}

/// Wait; the guest is suspended, its host is not.  Permission: clock.
pub fn sleep(milliseconds: u32) -> Result<(), Error> {
    ask("timers.sleep", &milliseconds.to_string()).map(drop)
}
