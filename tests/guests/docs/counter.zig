const hc = @import("hostcore");

comptime {
    hc.module(@This());
}

var count: u64 = 0;

pub fn handleMessage(topic: []const u8, payload: []const u8) !?[]const u8 {
    if (!hc.eql(topic, "add")) return hc.fail("invalid-argument", "unknown topic");
    count += (try hc.parse(struct { by: u64 = 1 }, payload)).by;
    return try getState();
}

pub fn getState() ![]const u8 {
    return hc.json(.{ .count = count });
}

pub fn restoreState(state: []const u8) !void {
    count = (try hc.parse(struct { count: u64 }, state)).count;
}
