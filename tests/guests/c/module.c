/* The conformance module in C.  It is built twice: as a component, and with HOSTCORE_CORE as a core module. */
#define HOSTCORE_HOOKS
#ifdef HOSTCORE_CORE
#include "hostcore_core.h"
#else
#include "hostcore.h"
#endif

static uint64_t count;
static hc_kept_str config;

static hc_str counted(void)
{
    return HC_CONCAT(HC_S("{\"count\":"), hc_number(count), HC_S("}"));
}

static hc_str field(hc_str json, const char *key)
{
    return hc_json_text(hc_json_get(json, key));
}

static hc_reply some(hc_str json)
{
    return HC_OK(hc_reply, HC_SOME(json));
}

static hc_reply nothing(hc_done done)
{
    return done.is_error ? HC_ERROR(hc_reply, done.error) : HC_OK(hc_reply, HC_NONE);
}

static volatile uint32_t never;

__attribute__((noinline)) static uint32_t deeper(uint32_t depth)
{
    return depth == never ? 0 : deeper(depth + 1) + never; /* not a tail call */
}

static hc_reply grow(void)
{
    while (hc_try_alloc(1 << 20))
        ;
    return HC_FAIL(hc_reply, "memory", "no more memory");
}

static hc_reply store(hc_str payload)
{
    hc_done set = hc_kv_set(HC_S("k"), payload);
    return set.is_error ? HC_ERROR(hc_reply, set.error) : hc_kv_get(HC_S("k"));
}

static hc_reply forget(void)
{
    hc_flag was = hc_kv_delete(HC_S("k"));
    if (was.is_error)
        return HC_ERROR(hc_reply, was.error);
    return some(was.value ? HC_S("true") : HC_S("false"));
}

static hc_reply keys(hc_str prefix)
{
    hc_texts got = hc_kv_keys(prefix);
    if (got.is_error)
        return HC_ERROR(hc_reply, got.error);
    hc_str json = HC_S("[");
    for (uint32_t i = 0; i < got.value.n; i++)
        json = HC_CONCAT(json, i ? HC_S(",") : HC_S(""), hc_json_quote(got.value.items[i]));
    return some(HC_CONCAT(json, HC_S("]")));
}

static hc_reply invoke(hc_str payload)
{
    hc_text got = hc_invoke(field(payload, "capability"), field(payload, "operation"), hc_json_get(payload, "args"));
    return got.is_error ? HC_ERROR(hc_reply, got.error) : some(got.value);
}

static hc_str who(void)
{
    hc_module_info me = hc_context_module();
    hc_message_info message = hc_context_message().value;
    return HC_CONCAT(HC_S("{\"name\":"), hc_json_quote(me.name), HC_S(",\"version\":"), hc_json_quote(me.version),
                     HC_S(",\"generation\":"), hc_number(me.generation), HC_S(",\"sender\":"),
                     hc_json_quote(message.sender), HC_S(",\"trace\":"), hc_json_quote(message.trace),
                     HC_S(",\"id\":"), hc_json_quote(message.id), HC_S("}"));
}

/* The topics that fail in ways of their own. */
static bool misbehave(hc_str topic, hc_reply *reply)
{
    if (hc_eq(topic, HC_S("trap")))
        __builtin_trap();
    if (hc_eq(topic, HC_S("spin")))
        for (volatile uint32_t i = 0;; i++)
            ;
    if (hc_eq(topic, HC_S("recurse")))
        *reply = some(hc_number(deeper(1)));
    else if (hc_eq(topic, HC_S("grow")))
        *reply = grow();
    else if (hc_eq(topic, HC_S("print")))
        *reply = HC_FAIL(hc_reply, "unimplemented", "there is no standard output");
    else if (hc_eq(topic, HC_S("fail")))
        *reply = HC_ERROR(hc_reply, ((hc_error){HC_S("invalid-argument"), HC_S("bad thing"),
                                                HC_SOME(HC_S("{\"field\":\"x\"}"))}));
    else
        return false;
    return true;
}

/* The topics that ask the host. */
static bool ask(hc_str topic, hc_str payload, hc_reply *reply)
{
    hc_str target = field(payload, "target"), to = field(payload, "topic"), what = hc_json_get(payload, "payload");
    if (hc_eq(topic, HC_S("kv")))
        *reply = store(payload);
    else if (hc_eq(topic, HC_S("delete")))
        *reply = forget();
    else if (hc_eq(topic, HC_S("keys")))
        *reply = keys(hc_json_text(payload));
    else if (hc_eq(topic, HC_S("unsubscribe")))
        *reply = nothing(hc_unsubscribe(hc_json_text(payload)));
    else if (hc_eq(topic, HC_S("ask")))
        *reply = hc_request(target, to, what, 0);
    else if (hc_eq(topic, HC_S("send")))
        *reply = nothing(hc_send(target, to, what));
    else if (hc_eq(topic, HC_S("publish")))
        *reply = nothing(hc_publish(to, what));
    else if (hc_eq(topic, HC_S("invoke")))
        *reply = invoke(payload);
    else if (hc_eq(topic, HC_S("granted")))
        *reply = some(hc_granted(hc_json_text(payload)) ? HC_S("true") : HC_S("false"));
    else if (hc_eq(topic, HC_S("who")))
        *reply = some(who());
    else if (hc_eq(topic, HC_S("sleep"))) {
        *reply = nothing(hc_sleep((uint32_t)hc_json_number(payload, 0)));
        if (!reply->is_error)
            *reply = some(HC_S("\"slept\""));
    } else
        return false;
    return true;
}

static hc_reply handle_message(hc_str topic, hc_str payload)
{
    hc_reply reply;
    if (hc_eq(topic, HC_S("echo"))) {
        count++;
        return some(payload);
    }
    if (hc_eq(topic, HC_S("count"))) {
        count++;
        return some(counted());
    }
    if (hc_eq(topic, HC_S("none")))
        return HC_OK(hc_reply, HC_NONE);
    if (hc_eq(topic, HC_S("config")))
        return some(config.text);
    if (hc_eq(topic, HC_S("log"))) {
        hc_log(HC_WARN, hc_json_text(payload));
        return HC_OK(hc_reply, HC_NONE);
    }
    if (misbehave(topic, &reply) || ask(topic, payload, &reply))
        return reply;
    return HC_FAIL(hc_reply, "invalid-argument", "unknown topic");
}

static hc_done initialize(hc_str given)
{
    hc_keep(&config, given);
    hc_str message = hc_json_get(given, "fail"), pattern = field(given, "subscribe");
    hc_log(HC_INFO, HC_S("ready"));
    if (message.n)
        return HC_ERROR(hc_done, ((hc_error){HC_S("invalid-argument"), hc_json_text(message), HC_NONE}));
    return pattern.n ? hc_subscribe(pattern) : HC_DONE;
}

static hc_text execute(hc_str input)
{
    return HC_OK(hc_text, HC_CONCAT(HC_S("{\"echo\":"), input, HC_S(",\"count\":"), hc_number(count), HC_S("}")));
}

static hc_text get_state(void)
{
    return HC_OK(hc_text, counted());
}

static hc_done restore_state(hc_str state)
{
    count = hc_json_number(hc_json_get(state, "count"), 0);
    return HC_DONE;
}

static hc_done shutdown(void)
{
    hc_log(HC_INFO, HC_S("bye"));
    return HC_DONE;
}

static hc_reply call(hc_str hook, hc_str arguments)
{
    if (hc_eq(hook, HC_S("check_health")))
        return some(HC_S("true"));
    if (hc_eq(hook, HC_S("restore_state")))
        return nothing(restore_state(hc_json_get(arguments, "state")));
    return HC_FAIL(hc_reply, "unimplemented", "no such hook");
}

static const hc_capability provides[] = {{HC_S("echo"), HC_S("1.0"), HC_NONE}};
static const hc_str hooks[] = {
    HC_S("initialize(config)"), HC_S("handle_message(topic, payload)"), HC_S("execute(input)"),
    HC_S("get_capabilities()"), HC_S("get_state()"), HC_S("restore_state(state)"),
    HC_S("shutdown()"), HC_S("check_health()"),
};
HC_MODULE(.initialize = initialize, .handle_message = handle_message, .execute = execute, .get_state = get_state,
          .restore_state = restore_state, .shutdown = shutdown, .capabilities = provides, .capability_count = 1,
          .hooks = hooks, .hook_count = sizeof hooks / sizeof *hooks, .call = call);
