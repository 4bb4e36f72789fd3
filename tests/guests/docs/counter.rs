mod hostcore;
use hostcore::{fail, json, Error, Reply};

#[derive(Default)]
struct Counter {
    count: u64,
}

fn number(text: &str, key: &str) -> Option<u64> {
    json::get(text, key)?.parse().ok()
}

impl hostcore::Module for Counter {
    fn handle_message(&mut self, topic: &str, payload: &str) -> Reply {
        if topic != "add" {
            return Err(fail("invalid-argument", "unknown topic"));
        }
        self.count += number(payload, "by").unwrap_or(1);
        self.get_state().map(Some)
    }

    fn get_state(&mut self) -> Result<String, Error> {
        Ok(format!("{{\"count\": {}}}", self.count))
    }

    fn restore_state(&mut self, state: &str) -> Result<(), Error> {
        self.count = number(state, "count").unwrap_or(0);
        Ok(())
    }
}

export!(Counter);
