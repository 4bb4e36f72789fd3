//! A module as a WebAssembly component in Zig: the world hostcore:module/module@1.0.0.
//!
//!     const hc = @import("hostcore");
//!     comptime {
//!         hc.module(@This());
//!     }
//!     pub fn handleMessage(topic: []const u8, payload: []const u8) !?[]const u8 {
//!         if (hc.eql(topic, "echo")) return payload;
//!         return hc.fail("invalid-argument", "unknown topic");
//!     }
//!
//! The hooks are public functions: `initialize(config) !void`, `handleMessage(topic, payload) !?[]const u8`,
//! `execute(input) ![]const u8`, `getState() ![]const u8`, `restoreState(state) !void`, `shutdown() !void`, and the list
//! `capabilities`.  Those left out answer "unimplemented", or do nothing.  All texts are JSON; `parse` and `json`
//! convert.
//!
//! What the host hands in, and what comes of `allocator`, lives until the hook returns (its result: until the host has
//! copied it).  What must live longer comes of `std.heap.wasm_allocator`.
//!
//! A host's error is the Zig error `Failed` and travels through `try`; what it says is in `failure`.  A hook that
//! returns `Failed` answers with that, one that returns another error with the code "failed" and the error's name.
const std = @import("std");

/// Where a text is.  An empty one may have an address outside of the memory, which a host refuses.
fn at(text: []const u8) Text {
    return if (text.len == 0) @ptrFromInt(8) else text.ptr;
}

const Text = [*]const u8;
const Str = extern struct {
    p: [*]const u8,
    n: usize,

    fn of(text: []const u8) Str {
        return .{ .p = at(text), .n = text.len };
    }
    fn slice(self: Str) []const u8 {
        return self.p[0..self.n];
    }
};
const Option = extern struct {
    some: bool,
    text: Str = undefined,

    fn of(text: ?[]const u8) Option {
        return if (text) |t| .{ .some = true, .text = .of(t) } else .{ .some = false };
    }
    fn slice(self: Option) ?[]const u8 {
        return if (self.some) self.text.slice() else null;
    }
};
const RawFailure = extern struct { code: Str, message: Str, details: Option };
const List = extern struct { p: [*]const Str, n: usize };

/// A result of the canonical ABI.  One shape serves all: a value of any kind is smaller than an error.
const Result = extern struct {
    is_error: bool,
    of: extern union { failure: RawFailure, text: Str, option: Option, flag: bool, list: List },
};
const Info = extern struct { name: Str, version: Str, generation: u32 };
const Message = extern struct {
    some: bool,
    id: Str align(8),
    sender: Str,
    schema: Str,
    trace: Str,
    timed: bool,
    remaining_ms: u64,
};

comptime {
    // The layout is that of the canonical ABI; nothing here works with another.
    if (@sizeOf(Result) != 32 or @sizeOf(Info) != 20 or @sizeOf(Message) != 56) @compileError("build for wasm32");
}

// The imports, as the canonical ABI has them.
const raw = struct {
    const log = struct {
        extern "hostcore:module/log@1.0.0" fn log(i32, Text, usize, bool, Text, usize) void;
    };
    const context = struct {
        extern "hostcore:module/context@1.0.0" fn module(*Info) void;
        extern "hostcore:module/context@1.0.0" fn message(*Message) void;
    };
    const bus = struct {
        extern "hostcore:module/bus@1.0.0" fn send(Text, usize, Text, usize, Text, usize, *Result) void;
        extern "hostcore:module/bus@1.0.0" fn request(Text, usize, Text, usize, Text, usize, u32, *Result) void;
        extern "hostcore:module/bus@1.0.0" fn publish(Text, usize, Text, usize, *Result) void;
        extern "hostcore:module/bus@1.0.0" fn subscribe(Text, usize, *Result) void;
        extern "hostcore:module/bus@1.0.0" fn unsubscribe(Text, usize, *Result) void;
    };
    const kv = struct {
        extern "hostcore:module/kv@1.0.0" fn get(Text, usize, *Result) void;
        extern "hostcore:module/kv@1.0.0" fn set(Text, usize, Text, usize, *Result) void;
        extern "hostcore:module/kv@1.0.0" fn delete(Text, usize, *Result) void;
        extern "hostcore:module/kv@1.0.0" fn keys(Text, usize, *Result) void;
    };
    const capabilities = struct {
        extern "hostcore:module/capabilities@1.0.0" fn granted(Text, usize) bool;
        extern "hostcore:module/capabilities@1.0.0" fn invoke(Text, usize, Text, usize, Text, usize, *Result) void;
    };
    const timers = struct {
        extern "hostcore:module/timers@1.0.0" fn sleep(u32, *Result) void;
    };
};

// Memory and errors.

var arena: std.heap.ArenaAllocator = .init(std.heap.wasm_allocator);

/// Memory that lives until the hook returns.
pub const allocator = arena.allocator();

/// What went wrong, last of all: what the host said, or what `fail` was given.
pub var failure: Failure = .{ .code = "failed", .message = "failed", .details = null };

pub const Failure = struct { code: []const u8, message: []const u8, details: ?[]const u8 };

/// The error that stands for `failure`.
pub const Failed = error{Failed};

/// Answer with an error: `return fail("not-found", "no such file");`
pub fn fail(code: []const u8, message: []const u8) Failed {
    return failWith(code, message, null);
}

/// The same with details, which are JSON.
pub fn failWith(code: []const u8, message: []const u8, details: ?[]const u8) Failed {
    failure = .{ .code = code, .message = message, .details = details };
    return error.Failed;
}

fn check(result: Result) Failed!Result {
    if (!result.is_error) return result;
    const it = result.of.failure;
    return failWith(it.code.slice(), it.message.slice(), it.details.slice());
}

fn answered(err: anyerror) Result {
    switch (err) {
        error.Failed => {},
        error.OutOfMemory => failure = .{ .code = "memory", .message = "no more memory", .details = null },
        else => failure = .{ .code = "failed", .message = @errorName(err), .details = null },
    }
    return .{ .is_error = true, .of = .{ .failure = .{
        .code = .of(failure.code),
        .message = .of(failure.message),
        .details = .of(failure.details),
    } } };
}

// Texts.

pub fn eql(one: []const u8, other: []const u8) bool {
    return std.mem.eql(u8, one, other);
}

/// Take JSON apart into a Zig type; what it has no field for is left out.
pub fn parse(comptime T: type, text: []const u8) !T {
    return std.json.parseFromSliceLeaky(T, allocator, text, .{ .ignore_unknown_fields = true }) catch |err| switch (err) {
        error.OutOfMemory => |memory| memory,
        else => fail("invalid-argument", "the JSON does not fit"),
    };
}

/// Write a value as JSON.
pub fn json(value: anytype) ![]const u8 {
    return std.json.Stringify.valueAlloc(allocator, value, .{});
}

// Asking the host.

pub const Level = enum(i32) { trace, debug, info, warn, err };

/// Write to the module's own log; `fields` is a JSON object.  Always there.
pub fn log(level: Level, message: []const u8, fields: ?[]const u8) void {
    const more = fields orelse "";
    raw.log.log(@backingInt(level), at(message), message.len, fields != null, at(more), more.len);
}

pub const ModuleInfo = struct { name: []const u8, version: []const u8, generation: u32 };

/// What this module is.  Always there.
pub fn moduleInfo() ModuleInfo {
    var info: Info = undefined;
    raw.context.module(&info);
    return .{ .name = info.name.slice(), .version = info.version.slice(), .generation = info.generation };
}

pub const MessageInfo = struct {
    id: []const u8,
    sender: []const u8,
    schema: []const u8,
    trace: []const u8,
    remaining_ms: ?u64,
};

/// The message that is being handled; null: none is.  Always there.
pub fn messageInfo() ?MessageInfo {
    var it: Message = undefined;
    raw.context.message(&it);
    if (!it.some) return null;
    return .{
        .id = it.id.slice(),
        .sender = it.sender.slice(),
        .schema = it.schema.slice(),
        .trace = it.trace.slice(),
        .remaining_ms = if (it.timed) it.remaining_ms else null,
    };
}

/// Messages to other modules.  Permission: bus.
pub const bus = struct {
    /// No reply wanted.
    pub fn send(target: []const u8, topic: []const u8, payload: []const u8) Failed!void {
        var r: Result = undefined;
        raw.bus.send(at(target), target.len, at(topic), topic.len, at(payload), payload.len, &r);
        _ = try check(r);
    }
    /// Wait for the reply; 0 milliseconds: the host's own limit.
    pub fn request(target: []const u8, topic: []const u8, payload: []const u8, timeout_ms: u32) Failed!?[]const u8 {
        var r: Result = undefined;
        raw.bus.request(at(target), target.len, at(topic), topic.len, at(payload), payload.len, timeout_ms, &r);
        return (try check(r)).of.option.slice();
    }
    /// To every subscriber of a topic.
    pub fn publish(topic: []const u8, payload: []const u8) Failed!void {
        var r: Result = undefined;
        raw.bus.publish(at(topic), topic.len, at(payload), payload.len, &r);
        _ = try check(r);
    }
    /// Have messages whose topic matches delivered to `handleMessage`.
    pub fn subscribe(pattern: []const u8) Failed!void {
        var r: Result = undefined;
        raw.bus.subscribe(at(pattern), pattern.len, &r);
        _ = try check(r);
    }
    pub fn unsubscribe(pattern: []const u8) Failed!void {
        var r: Result = undefined;
        raw.bus.unsubscribe(at(pattern), pattern.len, &r);
        _ = try check(r);
    }
};

/// The module's own store.  Permission: kv.
pub const kv = struct {
    /// null: no such key
    pub fn get(key: []const u8) Failed!?[]const u8 {
        var r: Result = undefined;
        raw.kv.get(at(key), key.len, &r);
        return (try check(r)).of.option.slice();
    }
    pub fn set(key: []const u8, value: []const u8) Failed!void {
        var r: Result = undefined;
        raw.kv.set(at(key), key.len, at(value), value.len, &r);
        _ = try check(r);
    }
    /// Whether it was there.
    pub fn delete(key: []const u8) Failed!bool {
        var r: Result = undefined;
        raw.kv.delete(at(key), key.len, &r);
        return (try check(r)).of.flag;
    }
    pub fn keys(prefix: []const u8) ![]const []const u8 {
        var r: Result = undefined;
        raw.kv.keys(at(prefix), prefix.len, &r);
        const list = (try check(r)).of.list;
        const out = try allocator.alloc([]const u8, list.n);
        for (out, list.p[0..list.n]) |*to, from| to.* = from.slice();
        return out;
    }
};

/// Whether the module has a permission, as in "net:api.example.org:443".  Always there.
pub fn granted(permission: []const u8) bool {
    return raw.capabilities.granted(at(permission), permission.len);
}

/// Ask a service of the host; `args` and the result are JSON.  Permission: that of the service.
pub fn invoke(capability: []const u8, operation: []const u8, args: []const u8) Failed![]const u8 {
    var r: Result = undefined;
    raw.capabilities.invoke(at(capability), capability.len, at(operation), operation.len, at(args), args.len, &r);
    return (try check(r)).of.text.slice();
}

/// Wait; the guest is suspended, its host is not.  Permission: clock.
pub fn sleep(milliseconds: u32) Failed!void {
    var r: Result = undefined;
    raw.timers.sleep(milliseconds, &r);
    _ = try check(r);
}

// The exports.

pub const Capability = struct { name: []const u8, version: []const u8, schema: ?[]const u8 = null };

/// Export the hooks of a file: `comptime { hc.module(@This()); }`
pub fn module(comptime M: type) void {
    const exports = struct {
        var result: Result = undefined;

        fn absent() Result {
            return answered(fail("unimplemented", "the module has no such hook"));
        }
        fn done(of: anyerror!void) *Result {
            result = if (of) |_| .{ .is_error = false, .of = undefined } else |err| answered(err);
            return &result;
        }
        fn text(of: anyerror![]const u8) *Result {
            result = if (of) |t| .{ .is_error = false, .of = .{ .text = .of(t) } } else |err| answered(err);
            return &result;
        }
        fn reply(of: anyerror!?[]const u8) *Result {
            result = if (of) |t| .{ .is_error = false, .of = .{ .option = .of(t) } } else |err| answered(err);
            return &result;
        }
        fn initialize(p: Text, n: usize) callconv(.c) *Result {
            return done(if (@hasDecl(M, "initialize")) M.initialize(p[0..n]) else {});
        }
        fn handleMessage(p: Text, n: usize, q: Text, m: usize) callconv(.c) *Result {
            if (@hasDecl(M, "handleMessage")) return reply(M.handleMessage(p[0..n], q[0..m]));
            result = absent();
            return &result;
        }
        fn execute(p: Text, n: usize) callconv(.c) *Result {
            if (@hasDecl(M, "execute")) return text(M.execute(p[0..n]));
            result = absent();
            return &result;
        }
        fn getState() callconv(.c) *Result {
            if (@hasDecl(M, "getState")) return text(M.getState());
            result = absent();
            return &result;
        }
        fn restoreState(p: Text, n: usize) callconv(.c) *Result {
            if (@hasDecl(M, "restoreState")) return done(M.restoreState(p[0..n]));
            result = absent();
            return &result;
        }
        fn shutdown() callconv(.c) *Result {
            return done(if (@hasDecl(M, "shutdown")) M.shutdown() else {});
        }

        const Provided = extern struct { name: Str, version: Str, schema: Option };
        const declared: []const Capability = if (@hasDecl(M, "capabilities")) M.capabilities else &.{};
        var provided: [declared.len]Provided = undefined;
        var list: extern struct { p: *const anyopaque, n: usize } = undefined;

        fn getCapabilities() callconv(.c) *const anyopaque {
            for (declared, 0..) |it, i|
                provided[i] = .{ .name = .of(it.name), .version = .of(it.version), .schema = .of(it.schema) };
            list = .{ .p = &provided, .n = provided.len };
            return &list;
        }
        fn realloc(old: Text, had: usize, alignment: usize, n: usize) callconv(.c) [*]u8 {
            // No alignment of the canonical ABI is beyond 8.
            std.debug.assert(alignment <= 8);
            // An allocator's answer for nothing lies outside of the memory, which the host refuses.
            if (n == 0) return @ptrFromInt(8);
            const got = allocator.alignedAlloc(u8, .@"8", n) catch @trap();
            const kept = @min(had, n);
            @memcpy(got[0..kept], old[0..kept]);
            return got.ptr;
        }
        /// Called when the host has copied a result.
        fn after(_: *Result) callconv(.c) void {
            _ = arena.reset(.retain_capacity);
        }
    };
    @export(&exports.realloc, .{ .name = "cabi_realloc" });
    @export(&exports.getCapabilities, .{ .name = lifecycle ++ "get-capabilities" });
    for (.{
        .{ "initialize", &exports.initialize },
        .{ "handle-message", &exports.handleMessage },
        .{ "execute", &exports.execute },
        .{ "get-state", &exports.getState },
        .{ "restore-state", &exports.restoreState },
        .{ "shutdown", &exports.shutdown },
    }) |it| {
        @export(it[1], .{ .name = lifecycle ++ it[0] });
        @export(&exports.after, .{ .name = "cabi_post_" ++ lifecycle ++ it[0] });
    }
}

const lifecycle = "hostcore:module/lifecycle@1.0.0#";
