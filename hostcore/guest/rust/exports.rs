//! What the host calls.
use super::{json, log, Error, Level, Module, Reply, ERROR};
use std::cell::RefCell;

/// Export a type that is a `Module` and has a `Default`.
#[macro_export]
macro_rules! export {
    ($module:ty) => {
        mod hostcore_exports {
            use super::{
                hostcore::{buffer, hook, Module},
                *,
            };

            fn make() -> Box<dyn Module> {
                Box::new(<$module>::default())
            }
            #[no_mangle]
            pub extern "C" fn hc_abi() -> i32 {
                1
            }
            #[no_mangle]
            pub extern "C" fn hc_buf(length: usize) -> *mut u8 {
                buffer(length)
            }
            #[no_mangle]
            pub extern "C" fn hc_initialize(n: usize) -> u64 {
                hook(make, &[n], |module, given| {
                    module.initialize(given[0]).map(|()| None)
                })
            }
            #[no_mangle]
            pub extern "C" fn hc_handle_message(n: usize, m: usize) -> u64 {
                hook(make, &[n, m], |module, given| {
                    module.handle_message(given[0], given[1])
                })
            }
            #[no_mangle]
            pub extern "C" fn hc_execute(n: usize) -> u64 {
                hook(make, &[n], |module, given| module.execute(given[0]).map(Some))
            }
            #[no_mangle]
            pub extern "C" fn hc_get_capabilities() -> u64 {
                hook(make, &[], |module, _| Ok(Some(module.get_capabilities())))
            }
            #[no_mangle]
            pub extern "C" fn hc_get_state() -> u64 {
                hook(make, &[], |module, _| module.get_state().map(Some))
            }
            #[no_mangle]
            pub extern "C" fn hc_restore_state(n: usize) -> u64 {
                hook(make, &[n], |module, given| {
                    module.restore_state(given[0]).map(|()| None)
                })
            }
            #[no_mangle]
            pub extern "C" fn hc_shutdown() -> u64 {
                hook(make, &[], |module, _| module.shutdown().map(|()| None))
            }
        }
    };
}

struct Guest {
    module: Option<Box<dyn Module>>,
    input: Vec<u8>,
    /// What was returned last; the host reads it after the call.
    result: String,
}

thread_local! {
    static GUEST: RefCell<Guest> = RefCell::new(Guest { module: None, input: vec![0; 1024], result: String::new() });
}

fn begin(make: fn() -> Box<dyn Module>) -> Box<dyn Module> {
    std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
    make()
}

/// Return the address of the input buffer, at least `length` bytes long; null: there is no memory for it.
#[doc(hidden)]
pub fn buffer(length: usize) -> *mut u8 {
    GUEST.with(|guest| {
        let input = &mut guest.borrow_mut().input;
        let more = length.saturating_sub(input.len());
        if input.try_reserve(more).is_err() {
            return std::ptr::null_mut();
        }
        input.resize(input.len() + more, 0);
        input.as_mut_ptr()
    })
}

/// Run a hook with the texts, of `lengths` bytes each, that lie in the input buffer.
#[doc(hidden)]
pub fn hook(
    make: fn() -> Box<dyn Module>,
    lengths: &[usize],
    run: impl FnOnce(&mut dyn Module, &[&str]) -> Reply,
) -> u64 {
    GUEST.with(|guest| {
        let mut guest = guest.borrow_mut();
        let Guest { module, input, result } = &mut *guest;
        let mut from = 0;
        let mut texts = Vec::with_capacity(lengths.len());
        for length in lengths {
            texts.push(std::str::from_utf8(&input[from..from + length]).expect("the host sends UTF-8"));
            from += length;
        }
        let module = module.get_or_insert_with(|| begin(make));
        let (flag, text) = match run(module.as_mut(), &texts) {
            Ok(None) => return 0,
            Ok(Some(text)) => (0, text),
            Err(error) => (ERROR, error_json(&error)),
        };
        *result = text;
        flag | (result.as_ptr() as u64) << 32 | result.len() as u64
    })
}

fn error_json(error: &Error) -> String {
    let details = error.details.as_deref().unwrap_or("");
    json::object(&[
        ("code", &json::quote(&error.code)),
        ("message", &json::quote(&error.message)),
        ("details", details),
    ])
}
