/* A module as a WebAssembly component in C: the world hostcore:module/module@1.0.0, or module-with-hooks.
 *
 *     #include "hostcore.h"
 *
 *     static hc_reply handle_message(hc_str topic, hc_str payload)
 *     {
 *         if (hc_eq(topic, HC_S("echo")))
 *             return HC_OK(hc_reply, HC_SOME(payload));
 *         return HC_FAIL(hc_reply, "invalid-argument", "unknown topic");
 *     }
 *     HC_MODULE(.handle_message = handle_message);
 *
 * Define HOSTCORE_HOOKS before the include for the world module-with-hooks.  The functions that ask the host are below,
 * under "Asking the host"; those of hostcore_core.h are the same, so a module's source can serve as either.
 */
#ifndef HOSTCORE_H
#define HOSTCORE_H

#include "hostcore_base.h"

#define HC_IMPORT(interface, name) \
    __attribute__((import_module("hostcore:module/" interface "@1.0.0"), import_name(name)))

/* ---- The imports as the canonical ABI has them --------------------------------------------------------------- */

#define HC_TEXT const char *, uint32_t
HC_IMPORT("log", "log") void hc_raw_log(int32_t level, HC_TEXT, int32_t has_fields, HC_TEXT);
HC_IMPORT("context", "module") void hc_raw_module(hc_module_info *);
HC_IMPORT("context", "message") void hc_raw_message(hc_option_message *);
HC_IMPORT("bus", "send") void hc_raw_send(HC_TEXT, HC_TEXT, HC_TEXT, hc_done *);
HC_IMPORT("bus", "request") void hc_raw_request(HC_TEXT, HC_TEXT, HC_TEXT, uint32_t timeout_ms, hc_reply *);
HC_IMPORT("bus", "publish") void hc_raw_publish(HC_TEXT, HC_TEXT, hc_done *);
HC_IMPORT("bus", "subscribe") void hc_raw_subscribe(HC_TEXT, hc_done *);
HC_IMPORT("bus", "unsubscribe") void hc_raw_unsubscribe(HC_TEXT, hc_done *);
HC_IMPORT("kv", "get") void hc_raw_kv_get(HC_TEXT, hc_reply *);
HC_IMPORT("kv", "set") void hc_raw_kv_set(HC_TEXT, HC_TEXT, hc_done *);
HC_IMPORT("kv", "delete") void hc_raw_kv_delete(HC_TEXT, hc_flag *);
HC_IMPORT("kv", "keys") void hc_raw_kv_keys(HC_TEXT, hc_texts *);
HC_IMPORT("capabilities", "granted") int32_t hc_raw_granted(HC_TEXT);
HC_IMPORT("capabilities", "invoke") void hc_raw_invoke(HC_TEXT, HC_TEXT, HC_TEXT, hc_text *);
HC_IMPORT("timers", "sleep") void hc_raw_sleep(uint32_t milliseconds, hc_done *);
#undef HC_TEXT

/* ---- Asking the host ----------------------------------------------------------------------------------------- */

/* Write to the module's own log.  Always there. */
HC_FN void hc_log(hc_level level, hc_str message)
{
    hc_raw_log((int32_t)level, message.p, message.n, 0, NULL, 0);
}

/* The same with fields, a JSON object. */
HC_FN void hc_log_fields(hc_level level, hc_str message, hc_str fields)
{
    hc_raw_log((int32_t)level, message.p, message.n, 1, fields.p, fields.n);
}

/* What this module is.  Always there. */
HC_FN hc_module_info hc_context_module(void)
{
    hc_module_info info;
    hc_raw_module(&info);
    return info;
}

/* The message that is being handled.  Always there. */
HC_FN hc_option_message hc_context_message(void)
{
    hc_option_message message;
    hc_raw_message(&message);
    return message;
}

/* Send a message, no reply wanted.  Permission: bus. */
HC_FN hc_done hc_send(hc_str target, hc_str topic, hc_str payload)
{
    hc_done result;
    hc_raw_send(target.p, target.n, topic.p, topic.n, payload.p, payload.n, &result);
    return result;
}

/* Send a message and wait for the reply; 0 milliseconds: the host's own limit.  Permission: bus. */
HC_FN hc_reply hc_request(hc_str target, hc_str topic, hc_str payload, uint32_t timeout_ms)
{
    hc_reply result;
    hc_raw_request(target.p, target.n, topic.p, topic.n, payload.p, payload.n, timeout_ms, &result);
    return result;
}

/* Tell every subscriber of a topic.  Permission: bus. */
HC_FN hc_done hc_publish(hc_str topic, hc_str payload)
{
    hc_done result;
    hc_raw_publish(topic.p, topic.n, payload.p, payload.n, &result);
    return result;
}

/* Have messages whose topic matches delivered to handle_message.  Permission: bus. */
HC_FN hc_done hc_subscribe(hc_str pattern)
{
    hc_done result;
    hc_raw_subscribe(pattern.p, pattern.n, &result);
    return result;
}

HC_FN hc_done hc_unsubscribe(hc_str pattern)
{
    hc_done result;
    hc_raw_unsubscribe(pattern.p, pattern.n, &result);
    return result;
}

/* A value of the module's own store; none: no such key.  Permission: kv. */
HC_FN hc_reply hc_kv_get(hc_str key)
{
    hc_reply result;
    hc_raw_kv_get(key.p, key.n, &result);
    return result;
}

HC_FN hc_done hc_kv_set(hc_str key, hc_str value)
{
    hc_done result;
    hc_raw_kv_set(key.p, key.n, value.p, value.n, &result);
    return result;
}

/* Whether it was there.  Permission: kv. */
HC_FN hc_flag hc_kv_delete(hc_str key)
{
    hc_flag result;
    hc_raw_kv_delete(key.p, key.n, &result);
    return result;
}

HC_FN hc_texts hc_kv_keys(hc_str prefix)
{
    hc_texts result;
    hc_raw_kv_keys(prefix.p, prefix.n, &result);
    return result;
}

/* Whether the module has a permission, as in "net:api.example.org:443".  Always there. */
HC_FN bool hc_granted(hc_str permission)
{
    return hc_raw_granted(permission.p, permission.n) != 0;
}

/* Ask a service of the host; `args` and the result are JSON.  Permission: that of the service. */
HC_FN hc_text hc_invoke(hc_str capability, hc_str operation, hc_str args)
{
    hc_text result;
    hc_raw_invoke(capability.p, capability.n, operation.p, operation.n, args.p, args.n, &result);
    return result;
}

/* Wait; the guest is suspended, its host is not.  Permission: clock. */
HC_FN hc_done hc_sleep(uint32_t milliseconds)
{
    hc_done result;
    hc_raw_sleep(milliseconds, &result);
    return result;
}

/* ---- The exports --------------------------------------------------------------------------------------------- */

HC_EXPORT("cabi_realloc") void *hc_export_realloc(void *old, uint32_t had, uint32_t align, uint32_t n)
{
    void *got = hc_arena_take(&hc_per_call, align, n);
    if (!got)
        __builtin_trap();
    hc_copy(got, old, had < n ? had : n);
    return got;
}

/* A hook's export hands out the address of its result, and what follows the call, when the host has copied the result,
 * empties the arena.  It is not emptied on entry: there the arguments are in it already. */
#define HC_HOOK(interface, name, type, symbol, parameters, given, arguments, otherwise)                       \
    HC_EXPORT("hostcore:module/" interface "@1.0.0#" name) type *hc_export_##symbol parameters              \
    {                                                                                                       \
        static type result;                                                                                 \
        result = given ? given arguments : (type)otherwise;                                                 \
        return &result;                                                                                     \
    }                                                                                                       \
    HC_EXPORT("cabi_post_hostcore:module/" interface "@1.0.0#" name) void hc_post_##symbol(type *unused)    \
    {                                                                                                       \
        (void)unused;                                                                                       \
        hc_arena_reset(&hc_per_call);                                                                       \
    }
#define HC_LIFECYCLE(name, type, hook, parameters, arguments, otherwise) \
    HC_HOOK("lifecycle", name, type, hook, parameters, hc_this_module.hook, arguments, otherwise)
#define HC_ABSENT(type) HC_FAIL(type, "unimplemented", "the module has no such hook")
#define HC_ONE (const char *p, uint32_t n)
#define HC_TWO (const char *p, uint32_t n, const char *q, uint32_t m)

HC_LIFECYCLE("initialize", hc_done, initialize, HC_ONE, ((hc_str){p, n}), HC_DONE)
HC_LIFECYCLE("handle-message", hc_reply, handle_message, HC_TWO, ((hc_str){p, n}, (hc_str){q, m}), HC_ABSENT(hc_reply))
HC_LIFECYCLE("execute", hc_text, execute, HC_ONE, ((hc_str){p, n}), HC_ABSENT(hc_text))
HC_LIFECYCLE("get-state", hc_text, get_state, (void), (), HC_ABSENT(hc_text))
HC_LIFECYCLE("restore-state", hc_done, restore_state, HC_ONE, ((hc_str){p, n}), HC_ABSENT(hc_done))
HC_LIFECYCLE("shutdown", hc_done, shutdown, (void), (), HC_DONE)

typedef struct {
    const hc_capability *items;
    uint32_t n;
} hc_capabilities;

HC_EXPORT("hostcore:module/lifecycle@1.0.0#get-capabilities") hc_capabilities *hc_export_capabilities(void)
{
    static hc_capabilities result;
    result = (hc_capabilities){hc_this_module.capabilities, hc_this_module.capability_count};
    return &result;
}

#ifdef HOSTCORE_HOOKS
HC_EXPORT("hostcore:module/hooks@1.0.0#implemented") hc_list *hc_export_implemented(void)
{
    static hc_list result;
    result = (hc_list){hc_this_module.hooks, hc_this_module.hook_count};
    return &result;
}
HC_HOOK("hooks", "call", hc_reply, call, HC_TWO, hc_this_module.call, ((hc_str){p, n}, (hc_str){q, m}),
        HC_ABSENT(hc_reply))
#endif

#endif
