#include "hostcore.h"

static uint64_t count;

static hc_str as_json(void)
{
    return HC_CONCAT(HC_S("{\"count\":"), hc_number(count), HC_S("}"));
}

static hc_reply handle_message(hc_str topic, hc_str payload)
{
    if (!hc_eq(topic, HC_S("add")))
        return HC_FAIL(hc_reply, "invalid-argument", "unknown topic");
    count += hc_json_number(hc_json_get(payload, "by"), 1);
    return HC_OK(hc_reply, HC_SOME(as_json()));
}

static hc_text get_state(void)
{
    return HC_OK(hc_text, as_json());
}

static hc_done restore_state(hc_str state)
{
    count = hc_json_number(hc_json_get(state, "count"), 0);
    return HC_DONE;
}

HC_MODULE(.handle_message = handle_message, .get_state = get_state, .restore_state = restore_state);
