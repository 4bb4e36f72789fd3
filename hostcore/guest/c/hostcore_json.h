/* Just enough JSON to take a small object apart and to write one; included by hostcore_base.h.
 *
 * hc_str by = hc_json_get(payload, "by");         the value as it stands: 2, "two", {"a": 1}; empty: no such key
 * uint64_t n = hc_json_number(by, 1);             as a number, or 1 where it is none
 * hc_str text = hc_json_text(by);                 a JSON string decoded; empty where it is none
 * hc_str json = hc_json_quote(text);              and back
 *
 * The host sends valid JSON; on anything else these find nothing, and never read outside of the text.
 */
#ifndef HOSTCORE_JSON_H
#define HOSTCORE_JSON_H

#include "hostcore_base.h"

HC_FN uint32_t hc_json_space(hc_str json, uint32_t at)
{
    while (at < json.n && (json.p[at] == ' ' || json.p[at] == '\n' || json.p[at] == '\r' || json.p[at] == '\t'))
        at++;
    return at;
}

/* The end of the string that begins at `at`, behind its closing quote. */
HC_FN uint32_t hc_json_string_end(hc_str json, uint32_t at)
{
    for (at++; at < json.n; at++) {
        if (json.p[at] == '"')
            return at + 1;
        if (json.p[at] == '\\')
            at++;
    }
    return json.n;
}

/* The end of the value that begins at `at`.  Depth is counted, not recursed: no nesting overflows the stack. */
HC_FN uint32_t hc_json_end(hc_str json, uint32_t at)
{
    uint32_t depth = 0;
    while (at < json.n) {
        char c = json.p[at];
        if (c == '"') {
            at = hc_json_string_end(json, at);
            if (depth == 0)
                return at;
            continue;
        }
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return at;
            if (--depth == 0)
                return at + 1;
        } else if (depth == 0 && (c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
            return at;
        }
        at++;
    }
    return at;
}

HC_FN hc_str hc_json_part(hc_str json, uint32_t from, uint32_t to)
{
    return to > from ? (hc_str){json.p + from, to - from} : (hc_str){NULL, 0};
}

/* The value of a key of the outermost object, as it stands; empty: it has no such key.  Keys with escapes in them
 * are not found. */
HC_FN hc_str hc_json_get(hc_str json, const char *key)
{
    hc_str wanted = {key, 0};
    while (key[wanted.n])
        wanted.n++;
    uint32_t at = hc_json_space(json, 0);
    if (at >= json.n || json.p[at] != '{')
        return (hc_str){NULL, 0};
    for (at = hc_json_space(json, at + 1); at < json.n && json.p[at] == '"'; at = hc_json_space(json, at + 1)) {
        uint32_t end = hc_json_string_end(json, at), value = hc_json_space(json, end);
        if (value >= json.n || json.p[value] != ':')
            break;
        value = hc_json_space(json, value + 1);
        uint32_t value_end = hc_json_end(json, value);
        if (end - at == wanted.n + 2 && hc_eq(hc_json_part(json, at + 1, end - 1), wanted))
            return hc_json_part(json, value, value_end);
        at = hc_json_space(json, value_end);
        if (at >= json.n || json.p[at] != ',')
            break;
    }
    return (hc_str){NULL, 0};
}

/* The next item of a list: begin with *at == 0; empty: there is none. */
HC_FN hc_str hc_json_next(hc_str json, uint32_t *at)
{
    uint32_t from = hc_json_space(json, *at);
    if (from >= json.n || json.p[from] != (*at == 0 ? '[' : ','))
        return (hc_str){NULL, 0};
    from = hc_json_space(json, from + 1);
    *at = hc_json_space(json, hc_json_end(json, from));
    return hc_json_part(json, from, hc_json_end(json, from));
}

HC_FN uint64_t hc_json_number(hc_str json, uint64_t otherwise)
{
    uint64_t number = 0;
    for (uint32_t i = 0; i < json.n; i++) {
        unsigned digit = (unsigned)(json.p[i] - '0');
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return otherwise;
        number = number * 10 + digit;
    }
    return json.n ? number : otherwise;
}

HC_FN uint32_t hc_json_hex(const char *p)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : ((uint32_t)(c | 32) - 'a' + 10) & 15;
        code = code << 4 | digit;
    }
    return code;
}

HC_FN uint32_t hc_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    uint32_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (uint32_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00u >> n & 0xff) | code);
    return n;
}

/* Decode the \uXXXX at `p`, of which `left` bytes are there; a lone half of a pair becomes U+FFFD. */
HC_FN uint32_t hc_json_unicode(const char *p, uint32_t left, uint32_t *used)
{
    *used = 6;
    uint32_t code = hc_json_hex(p + 2);
    if (code < 0xd800 || code > 0xdfff)
        return code;
    if (code < 0xdc00 && left >= 12 && p[6] == '\\' && p[7] == 'u') {
        uint32_t low = hc_json_hex(p + 8);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *used = 12;
            return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

/* A JSON string decoded; empty where `json` is none. */
HC_FN hc_str hc_json_text(hc_str json)
{
    if (json.n < 2 || json.p[0] != '"' || json.p[json.n - 1] != '"')
        return (hc_str){NULL, 0};
    char *out = hc_alloc(json.n), *to = out;
    const char *at = json.p + 1, *end = json.p + json.n - 1;
    while (at < end) {
        uint32_t left = (uint32_t)(end - at), used = 2;
        if (*at != '\\' || left < 2) {
            *to++ = *at++;
            continue;
        }
        switch (at[1]) {
        case 'b': *to++ = '\b'; break;
        case 'f': *to++ = '\f'; break;
        case 'n': *to++ = '\n'; break;
        case 'r': *to++ = '\r'; break;
        case 't': *to++ = '\t'; break;
        case 'u':
            if (left >= 6)
                to += hc_utf8(to, hc_json_unicode(at, left, &used));
            break;
        default: *to++ = at[1];
        }
        at += used;
    }
    return (hc_str){out, (uint32_t)(to - out)};
}

/* A text as a JSON string, with its quotes. */
HC_FN hc_str hc_json_quote(hc_str text)
{
    if (text.n > 0x10000000u)
        __builtin_trap();
    char *out = hc_alloc(6 * text.n + 2), *to = out;
    *to++ = '"';
    for (uint32_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x20) {
            hc_copy(to, "\\u00", 4);
            to[4] = (char)('0' + (c >> 4));
            to[5] = "0123456789abcdef"[c & 15];
            to += 6;
            continue;
        }
        if (c == '"' || c == '\\')
            *to++ = '\\';
        *to++ = (char)c;
    }
    *to++ = '"';
    return (hc_str){out, (uint32_t)(to - out)};
}

#endif
