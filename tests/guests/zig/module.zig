//! The conformance module in Zig, as a component.
const std = @import("std");
const hc = @import("hostcore");

comptime {
    hc.module(@This());
}

pub const capabilities: []const hc.Capability = &.{.{ .name = "echo", .version = "1.0" }};

const kept = std.heap.wasm_allocator;
var count: u64 = 0;
var config: []const u8 = "{}";

pub fn initialize(given: []const u8) !void {
    config = try kept.dupe(u8, given);
    hc.log(.info, "ready", null);
    const asked = try hc.parse(struct { fail: ?[]const u8 = null, subscribe: ?[]const u8 = null }, given);
    if (asked.fail) |message| return hc.fail("invalid-argument", message);
    if (asked.subscribe) |pattern| try hc.bus.subscribe(pattern);
}

const Topic = enum {
    echo,
    count,
    none,
    fail,
    trap,
    spin,
    recurse,
    grow,
    log,
    print,
    kv,
    ask,
    send,
    publish,
    invoke,
    granted,
    who,
    sleep,
    config,
    delete,
    keys,
    unsubscribe,
};

pub fn handleMessage(topic: []const u8, payload: []const u8) !?[]const u8 {
    switch (std.meta.stringToEnum(Topic, topic) orelse return hc.fail("invalid-argument", "unknown topic")) {
        .echo => {
            count += 1;
            return payload;
        },
        .count => {
            count += 1;
            return try getState();
        },
        .none => return null,
        .config => return config,
        .fail => return hc.failWith("invalid-argument", "bad thing", "{\"field\":\"x\"}"),
        .print => return hc.fail("unimplemented", "there is no standard output"),
        .trap => @trap(),
        .spin => spin(),
        .recurse => return try hc.json(deeper(1)),
        .grow => while (true) {
            _ = try hc.allocator.alloc(u8, 1 << 20);
        },
        .log => {
            hc.log(.warn, try hc.parse([]const u8, payload), null);
            return null;
        },
        .kv => {
            try hc.kv.set("k", payload);
            return hc.kv.get("k");
        },
        .delete => return try hc.json(try hc.kv.delete("k")),
        .keys => return try hc.json(try hc.kv.keys(try hc.parse([]const u8, payload))),
        .unsubscribe => {
            try hc.bus.unsubscribe(try hc.parse([]const u8, payload));
            return null;
        },
        .granted => return try hc.json(hc.granted(try hc.parse([]const u8, payload))),
        .sleep => {
            try hc.sleep(try hc.parse(u32, payload));
            return "\"slept\"";
        },
        .who => return try who(),
        .ask => {
            const to = try address(payload);
            return hc.bus.request(to.target, to.topic, try hc.json(to.payload), 0);
        },
        .send => {
            const to = try address(payload);
            try hc.bus.send(to.target, to.topic, try hc.json(to.payload));
            return null;
        },
        .publish => {
            const to = try address(payload);
            try hc.bus.publish(to.topic, try hc.json(to.payload));
            return null;
        },
        .invoke => {
            const what = try hc.parse(struct { capability: []const u8, operation: []const u8, args: std.json.Value }, payload);
            return try hc.invoke(what.capability, what.operation, try hc.json(what.args));
        },
    }
}

const Address = struct { target: []const u8 = "", topic: []const u8, payload: std.json.Value = .null };

fn address(payload: []const u8) !Address {
    return hc.parse(Address, payload);
}

fn who() ![]const u8 {
    const me = hc.moduleInfo();
    const message = hc.messageInfo() orelse return hc.fail("failed", "no message is being handled");
    return hc.json(.{
        .name = me.name,
        .version = me.version,
        .generation = me.generation,
        .sender = message.sender,
        .trace = message.trace,
        .id = message.id,
    });
}

var never: u32 = 0;

fn spin() noreturn {
    const at: *volatile u32 = &never;
    while (true) at.* = 0;
}

noinline fn deeper(depth: u32) u32 {
    const end: *volatile u32 = &never;
    return if (depth == end.*) 0 else deeper(depth + 1) + end.*; // not a tail call
}

pub fn execute(input: []const u8) ![]const u8 {
    return std.fmt.allocPrint(hc.allocator, "{{\"echo\":{s},\"count\":{d}}}", .{ input, count });
}

pub fn getState() ![]const u8 {
    return hc.json(.{ .count = count });
}

pub fn restoreState(state: []const u8) !void {
    count = (try hc.parse(struct { count: u64 }, state)).count;
}

pub fn shutdown() !void {
    hc.log(.info, "bye", null);
}
