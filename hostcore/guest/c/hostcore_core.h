/* A module as a core WebAssembly module in C: the ABI hostcore-core-1, see ../interface/core-abi.md.
 *
 * It has the functions and the macros of hostcore.h, so a module's source can serve as either:
 *
 *     #ifdef HOSTCORE_CORE
 *     #include "hostcore_core.h"
 *     #else
 *     #include "hostcore.h"
 *     #endif
 *
 * Define HOSTCORE_HOOKS before the include to export hooks beyond those of the lifecycle.
 */
#ifndef HOSTCORE_CORE_H
#define HOSTCORE_CORE_H

#include "hostcore_base.h"

#define HC_IMPORT(name) __attribute__((import_module("hostcore"), import_name(name)))
HC_IMPORT("log") void hc_raw_log(int32_t level, const char *, uint32_t);
HC_IMPORT("call")
uint64_t hc_raw_call(const char *op, uint32_t, const char *argument, uint32_t, char *out, uint32_t room);
HC_IMPORT("read") int32_t hc_raw_read(char *out, uint32_t);

#define HC_IS_ERROR ((uint64_t)1 << 63)
#define HC_IS_NONE ((uint64_t)1 << 62)

/* ---- Errors as JSON ------------------------------------------------------------------------------------------ */

HC_FN hc_option hc_core_some(hc_str json)
{
    return json.n == 0 || hc_eq(json, HC_S("null")) ? HC_NONE : HC_SOME(json);
}

HC_FN hc_error hc_core_error(hc_str json)
{
    return (hc_error){hc_json_text(hc_json_get(json, "code")), hc_json_text(hc_json_get(json, "message")),
                      hc_core_some(hc_json_get(json, "details"))};
}

/* `,"key":value`, or nothing where there is no value. */
HC_FN hc_str hc_core_field(hc_str key, hc_option value)
{
    return value.some ? HC_CONCAT(HC_S(","), hc_json_quote(key), HC_S(":"), value.text) : HC_S("");
}

HC_FN hc_str hc_core_error_json(hc_error error)
{
    return HC_CONCAT(HC_S("{\"code\":"), hc_json_quote(error.code), HC_S(",\"message\":"), hc_json_quote(error.message),
                     hc_core_field(HC_S("details"), error.details), HC_S("}"));
}

/* ---- Asking the host ----------------------------------------------------------------------------------------- */

/* Ask for anything of the list in core-abi.md. */
HC_FN hc_reply hc_core_ask(hc_str op, hc_str argument)
{
    uint32_t room = 1024;
    char *out = hc_alloc(room);
    uint64_t got = hc_raw_call(op.p, op.n, argument.p, argument.n, out, room);
    uint32_t n = (uint32_t)got;
    if (got & HC_IS_NONE)
        return HC_OK(hc_reply, HC_NONE);
    if (n > room) {
        out = hc_alloc(n);
        n = (uint32_t)hc_raw_read(out, n);
    }
    hc_str text = {out, n};
    return got & HC_IS_ERROR ? HC_ERROR(hc_reply, hc_core_error(text)) : HC_OK(hc_reply, HC_SOME(text));
}

HC_FN hc_done hc_core_tell(hc_str op, hc_str argument)
{
    hc_reply got = hc_core_ask(op, argument);
    return got.is_error ? HC_ERROR(hc_done, got.error) : HC_DONE;
}

HC_FN hc_str hc_core_json(hc_str payload)
{
    return payload.n ? payload : HC_S("null");
}

/* Write to the module's own log.  Always there. */
HC_FN void hc_log(hc_level level, hc_str message)
{
    hc_raw_log((int32_t)level, message.p, message.n);
}

/* The same with fields, a JSON object; this ABI has no place for them but the text. */
HC_FN void hc_log_fields(hc_level level, hc_str message, hc_str fields)
{
    hc_log(level, HC_CONCAT(message, HC_S(" "), fields));
}

/* What this module is.  Always there. */
HC_FN hc_module_info hc_context_module(void)
{
    hc_str json = hc_core_ask(HC_S("context.module"), HC_S("")).value.text;
    return (hc_module_info){hc_json_text(hc_json_get(json, "name")), hc_json_text(hc_json_get(json, "version")),
                            (uint32_t)hc_json_number(hc_json_get(json, "generation"), 0)};
}

/* The message that is being handled.  Always there. */
HC_FN hc_option_message hc_context_message(void)
{
    hc_reply got = hc_core_ask(HC_S("context.message"), HC_S(""));
    if (got.is_error || !got.value.some)
        return (hc_option_message){.some = false};
    hc_str json = got.value.text, left = hc_json_get(json, "remaining_ms");
    hc_message_info info = {
        .id = hc_json_text(hc_json_get(json, "id")),
        .sender = hc_json_text(hc_json_get(json, "sender")),
        .schema = hc_json_text(hc_json_get(json, "schema")),
        .trace = hc_json_text(hc_json_get(json, "trace")),
        .remaining_ms = {hc_core_some(left).some, hc_json_number(left, 0)},
    };
    return (hc_option_message){true, info};
}

HC_FN hc_str hc_core_addressed(hc_str target, hc_str topic, hc_str payload, hc_str more)
{
    return HC_CONCAT(HC_S("{\"target\":"), hc_json_quote(target), HC_S(",\"topic\":"), hc_json_quote(topic),
                     HC_S(",\"payload\":"), hc_core_json(payload), more, HC_S("}"));
}

/* Send a message, no reply wanted.  Permission: bus. */
HC_FN hc_done hc_send(hc_str target, hc_str topic, hc_str payload)
{
    return hc_core_tell(HC_S("bus.send"), hc_core_addressed(target, topic, payload, HC_S("")));
}

/* Send a message and wait for the reply; 0 milliseconds: the host's own limit.  Permission: bus. */
HC_FN hc_reply hc_request(hc_str target, hc_str topic, hc_str payload, uint32_t timeout_ms)
{
    hc_str limit = timeout_ms ? HC_CONCAT(HC_S(",\"timeout_ms\":"), hc_number(timeout_ms)) : HC_S("");
    return hc_core_ask(HC_S("bus.request"), hc_core_addressed(target, topic, payload, limit));
}

/* Tell every subscriber of a topic.  Permission: bus. */
HC_FN hc_done hc_publish(hc_str topic, hc_str payload)
{
    return hc_core_tell(HC_S("bus.publish"), HC_CONCAT(HC_S("{\"topic\":"), hc_json_quote(topic), HC_S(",\"payload\":"),
                                                       hc_core_json(payload), HC_S("}")));
}

/* Have messages whose topic matches delivered to handle_message.  Permission: bus. */
HC_FN hc_done hc_subscribe(hc_str pattern)
{
    return hc_core_tell(HC_S("bus.subscribe"), pattern);
}

HC_FN hc_done hc_unsubscribe(hc_str pattern)
{
    return hc_core_tell(HC_S("bus.unsubscribe"), pattern);
}

/* A value of the module's own store, as JSON; none: no such key.  Permission: kv. */
HC_FN hc_reply hc_kv_get(hc_str key)
{
    return hc_core_ask(HC_S("kv.get"), key);
}

HC_FN hc_done hc_kv_set(hc_str key, hc_str value)
{
    return hc_core_tell(HC_S("kv.set"), HC_CONCAT(HC_S("{\"key\":"), hc_json_quote(key), HC_S(",\"value\":"),
                                                  value, HC_S("}")));
}

/* Whether it was there.  Permission: kv. */
HC_FN hc_flag hc_kv_delete(hc_str key)
{
    hc_reply got = hc_core_ask(HC_S("kv.delete"), key);
    return got.is_error ? HC_ERROR(hc_flag, got.error) : HC_OK(hc_flag, hc_eq(got.value.text, HC_S("true")));
}

HC_FN hc_texts hc_kv_keys(hc_str prefix)
{
    hc_reply got = hc_core_ask(HC_S("kv.keys"), prefix);
    if (got.is_error)
        return HC_ERROR(hc_texts, got.error);
    uint32_t n = 0, at = 0;
    while (hc_json_next(got.value.text, &at).n)
        n++;
    hc_str *items = hc_alloc(n * sizeof(hc_str));
    at = 0;
    for (uint32_t i = 0; i < n; i++)
        items[i] = hc_json_text(hc_json_next(got.value.text, &at));
    return HC_OK(hc_texts, ((hc_list){items, n}));
}

/* Whether the module has a permission, as in "net:api.example.org:443".  Always there. */
HC_FN bool hc_granted(hc_str permission)
{
    hc_reply got = hc_core_ask(HC_S("cap.granted"), permission);
    return !got.is_error && hc_eq(got.value.text, HC_S("true"));
}

/* Ask a service of the host; `args` and the result are JSON.  Permission: that of the service. */
HC_FN hc_text hc_invoke(hc_str capability, hc_str operation, hc_str args)
{
    hc_reply got = hc_core_ask(HC_S("cap.invoke"), HC_CONCAT(HC_S("{\"capability\":"), hc_json_quote(capability),
                                                             HC_S(",\"operation\":"), hc_json_quote(operation),
                                                             HC_S(",\"args\":"), hc_core_json(args), HC_S("}")));
    if (got.is_error)
        return HC_ERROR(hc_text, got.error);
    return HC_OK(hc_text, got.value.some ? got.value.text : HC_S("null"));
}

/* Wait; the guest is suspended, its host is not.  Permission: clock. */
HC_FN hc_done hc_sleep(uint32_t milliseconds)
{
    return hc_core_tell(HC_S("timers.sleep"), hc_number(milliseconds));
}

/* ---- The exports --------------------------------------------------------------------------------------------- */

/* The input buffer is apart from the arena: a host may use one buffer for several calls. */
static hc_kept_str hc_input;

HC_EXPORT("hc_abi") int32_t hc_export_abi(void)
{
    return 1;
}

HC_EXPORT("hc_buf") const char *hc_export_buf(uint32_t n)
{
    if (n >= hc_input.room) {
        uint32_t room = n < 0x20000000u ? 2 * n + 1024 : n;
        char *place = hc_arena_take(&hc_kept, 8, room);
        if (!place)
            return NULL;
        hc_input = (hc_kept_str){{place, 0}, room};
    }
    return hc_input.text.p;
}

HC_FN uint64_t hc_core_result(hc_str text)
{
    return (uint64_t)(uintptr_t)text.p << 32 | text.n;
}

HC_FN uint64_t hc_core_failed(hc_error error)
{
    return HC_IS_ERROR | hc_core_result(hc_core_error_json(error));
}

HC_FN uint64_t hc_core_from_done(hc_done done)
{
    return done.is_error ? hc_core_failed(done.error) : 0;
}

HC_FN uint64_t hc_core_from_text(hc_text text)
{
    return text.is_error ? hc_core_failed(text.error) : hc_core_result(text.value);
}

HC_FN uint64_t hc_core_from_reply(hc_reply reply)
{
    if (reply.is_error)
        return hc_core_failed(reply.error);
    return reply.value.some ? hc_core_result(reply.value.text) : 0;
}

/* The result of the call before has been copied by now. */
#define HC_HOOK(kind, hook, parameters, arguments, otherwise)                     \
    HC_EXPORT("hc_" #hook) uint64_t hc_export_##hook parameters                 \
    {                                                                           \
        hc_arena_reset(&hc_per_call);                                           \
        return hc_core_from_##kind(hc_this_module.hook ? hc_this_module.hook arguments : otherwise); \
    }
#define HC_ABSENT(type) HC_FAIL(type, "unimplemented", "the module has no such hook")
#define HC_INPUT(from, n) ((hc_str){hc_input.text.p + (from), (n)})

HC_HOOK(done, initialize, (uint32_t n), (HC_INPUT(0, n)), HC_DONE)
HC_HOOK(reply, handle_message, (uint32_t n, uint32_t m), (HC_INPUT(0, n), HC_INPUT(n, m)), HC_ABSENT(hc_reply))
HC_HOOK(text, execute, (uint32_t n), (HC_INPUT(0, n)), HC_ABSENT(hc_text))
HC_HOOK(text, get_state, (void), (), HC_ABSENT(hc_text))
HC_HOOK(done, restore_state, (uint32_t n), (HC_INPUT(0, n)), HC_ABSENT(hc_done))
HC_HOOK(done, shutdown, (void), (), HC_DONE)

HC_EXPORT("hc_get_capabilities") uint64_t hc_export_get_capabilities(void)
{
    hc_arena_reset(&hc_per_call);
    hc_str json = HC_S("[");
    for (uint32_t i = 0; i < hc_this_module.capability_count; i++) {
        const hc_capability *it = &hc_this_module.capabilities[i];
        json = HC_CONCAT(json, i ? HC_S(",") : HC_S(""), HC_S("{\"name\":"), hc_json_quote(it->name),
                         HC_S(",\"version\":"), hc_json_quote(it->version), hc_core_field(HC_S("schema"), it->schema),
                         HC_S("}"));
    }
    return hc_core_result(HC_CONCAT(json, HC_S("]")));
}

#ifdef HOSTCORE_HOOKS
HC_EXPORT("hc_hooks") uint64_t hc_export_hooks(void)
{
    hc_arena_reset(&hc_per_call);
    hc_str json = HC_S("[");
    for (uint32_t i = 0; i < hc_this_module.hook_count; i++)
        json = HC_CONCAT(json, i ? HC_S(",") : HC_S(""), hc_json_quote(hc_this_module.hooks[i]));
    return hc_core_result(HC_CONCAT(json, HC_S("]")));
}
HC_HOOK(reply, call, (uint32_t n, uint32_t m), (HC_INPUT(0, n), HC_INPUT(n, m)), HC_ABSENT(hc_reply))
#endif

#endif
