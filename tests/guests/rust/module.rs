//! The conformance module in Rust, as a core module.
mod hostcore;
use hostcore::{fail, json, Error, Level, Reply};

#[derive(Default)]
struct Guest {
    count: u64,
    config: String,
}

fn field(payload: &str, key: &str) -> String {
    json::get(payload, key).map(json::text).unwrap_or_default()
}

static NEVER: u64 = 0;

/// Return 0, in a way that the compiler does not see through.
fn never() -> u64 {
    // SAFETY: it points at a static.
    unsafe { std::ptr::read_volatile(&NEVER) }
}

fn deeper(depth: u64) -> u64 {
    if depth == never() {
        0
    } else {
        deeper(depth + 1) + never() // not a tail call
    }
}

fn grow() -> Error {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut more: Vec<u8> = Vec::new();
        if held.try_reserve(1).is_err() || more.try_reserve_exact(1 << 20).is_err() {
            drop(held);
            return fail("memory", "no more memory");
        }
        held.push(more);
    }
}

fn who() -> String {
    let (me, message) = (
        hostcore::context_module(),
        hostcore::context_message().unwrap_or_default(),
    );
    let of = |from: &str, key: &str| json::get(from, key).unwrap_or("").to_string();
    let mut fields: Vec<(&str, String)> = Vec::new();
    fields.extend(["name", "version", "generation"].map(|key| (key, of(&me, key))));
    fields.extend(["sender", "trace", "id"].map(|key| (key, of(&message, key))));
    json::object(
        &fields
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect::<Vec<_>>(),
    )
}

/// Answer the topics that ask the host.
fn ask(topic: &str, payload: &str) -> Reply {
    let (target, to) = (field(payload, "target"), field(payload, "topic"));
    let what = json::get(payload, "payload").unwrap_or("null");
    match topic {
        "ask" => hostcore::request(&target, &to, what, 0),
        "send" => hostcore::send(&target, &to, what).map(|()| None),
        "publish" => hostcore::publish(&to, what).map(|()| None),
        "kv" => hostcore::kv_set("k", payload).and_then(|()| hostcore::kv_get("k")),
        "delete" => hostcore::kv_delete("k").map(|was| Some(was.to_string())),
        "keys" => hostcore::kv_keys(&json::text(payload)).map(Some),
        "unsubscribe" => hostcore::unsubscribe(&json::text(payload)).map(|()| None),
        "granted" => Ok(Some(hostcore::granted(&json::text(payload)).to_string())),
        "who" => Ok(Some(who())),
        "sleep" => hostcore::sleep(payload.parse().unwrap_or(0)).map(|()| Some("\"slept\"".to_string())),
        "invoke" => {
            let args = json::get(payload, "args").unwrap_or("{}");
            hostcore::invoke(&field(payload, "capability"), &field(payload, "operation"), args).map(Some)
        }
        _ => Err(fail("invalid-argument", "unknown topic")),
    }
}

impl hostcore::Module for Guest {
    fn initialize(&mut self, config: &str) -> Result<(), Error> {
        self.config = config.to_string();
        hostcore::log(Level::Info, "ready");
        if let Some(message) = json::get(config, "fail") {
            return Err(fail("invalid-argument", &json::text(message)));
        }
        match field(config, "subscribe") {
            pattern if pattern.is_empty() => Ok(()),
            pattern => hostcore::subscribe(&pattern),
        }
    }

    fn handle_message(&mut self, topic: &str, payload: &str) -> Reply {
        match topic {
            "echo" => {
                self.count += 1;
                Ok(Some(payload.to_string()))
            }
            "count" => {
                self.count += 1;
                self.get_state().map(Some)
            }
            "none" => Ok(None),
            "config" => Ok(Some(self.config.clone())),
            "fail" => Err(Error {
                details: Some("{\"field\":\"x\"}".to_string()),
                ..fail("invalid-argument", "bad thing")
            }),
            "print" => Err(fail("unimplemented", "there is no standard output")),
            "trap" => panic!("a panic is a trap"),
            "spin" => loop {
                never();
            },
            "recurse" => Ok(Some(deeper(1).to_string())),
            "grow" => Err(grow()),
            "log" => {
                hostcore::log(Level::Warn, &json::text(payload));
                Ok(None)
            }
            _ => ask(topic, payload),
        }
    }

    fn execute(&mut self, input: &str) -> Result<String, Error> {
        Ok(json::object(&[("echo", input), ("count", &self.count.to_string())]))
    }

    fn get_capabilities(&mut self) -> String {
        r#"[{"name": "echo", "version": "1.0"}]"#.to_string()
    }

    fn get_state(&mut self) -> Result<String, Error> {
        Ok(json::object(&[("count", &self.count.to_string())]))
    }

    fn restore_state(&mut self, state: &str) -> Result<(), Error> {
        self.count = json::get(state, "count")
            .and_then(|count| count.parse().ok())
            .unwrap_or(0);
        Ok(())
    }

    fn shutdown(&mut self) -> Result<(), Error> {
        hostcore::log(Level::Info, "bye");
        Ok(())
    }
}

export!(Guest);
