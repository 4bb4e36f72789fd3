/* The guest of the benchmarks, as a component, and with HOSTCORE_CORE as a core module. */
#ifdef HOSTCORE_CORE
#include "hostcore_core.h"
#else
#include "hostcore.h"
#endif

static uint64_t count;

static hc_reply some(hc_str json)
{
    return HC_OK(hc_reply, HC_SOME(json));
}

static hc_reply handle_message(hc_str topic, hc_str payload)
{
    if (hc_eq(topic, HC_S("echo"))) {
        count++;
        return some(payload);
    }
    if (hc_eq(topic, HC_S("get"))) /* one call of the host, which answers at once */
        return hc_kv_get(HC_S("k"));
    if (hc_eq(topic, HC_S("ask"))) /* one that another module answers */
        return hc_request(HC_S("native"), HC_S("echo"), payload, 0);
    if (hc_eq(topic, HC_S("spin")))
        for (volatile uint32_t i = 0;; i++)
            ;
    return HC_FAIL(hc_reply, "invalid-argument", "unknown topic");
}

static hc_str counted(void)
{
    return HC_CONCAT(HC_S("{\"count\":"), hc_number(count), HC_S("}"));
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

HC_MODULE(.handle_message = handle_message, .execute = execute, .get_state = get_state, .restore_state = restore_state);
