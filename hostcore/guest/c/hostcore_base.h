/* What both C bindings share: texts, results, memory, and just enough JSON.
 *
 * Include hostcore.h (a component) or hostcore_core.h (a core module), in exactly one C file; both include this one.
 * C11, no C library.
 *
 * Memory: what the host hands in, and what the functions here return, lives until the hook returns (its result: until
 * the host has copied it).  Nothing is freed by hand.  What must live longer is copied with hc_keep.
 * Where memory runs out, the guest traps; hc_try_alloc returns NULL instead.
 */
#ifndef HOSTCORE_BASE_H
#define HOSTCORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Texts and results -------------------------------------------------------------------------------------- */

/* UTF-8, not ended by a zero byte. */
typedef struct {
    const char *p;
    uint32_t n;
} hc_str;

/* A literal as a text: HC_S("echo"). */
#define HC_S(literal) ((hc_str){(literal), sizeof(literal) - 1})

typedef struct {
    bool some;
    hc_str text;
} hc_option;

typedef struct {
    hc_str code, message;
    hc_option details; /* JSON */
} hc_error;

typedef struct {
    hc_str name, version;
    hc_option schema; /* JSON */
} hc_capability;

typedef struct {
    const hc_str *items;
    uint32_t n;
} hc_list;

/* A result is an error, or a value of its own type; one kind cannot be returned for another. */
#define HC_RESULT(name, type) \
    typedef struct {          \
        bool is_error;        \
        union {               \
            hc_error error;   \
            type value;       \
        };                    \
    } name
HC_RESULT(hc_done, char);       /* nothing */
HC_RESULT(hc_text, hc_str);     /* a text, most often JSON */
HC_RESULT(hc_reply, hc_option); /* a text or none */
HC_RESULT(hc_flag, bool);
HC_RESULT(hc_texts, hc_list);

/* The layout is that of the canonical ABI; nothing below works with another. */
_Static_assert(sizeof(hc_str) == 8 && sizeof(hc_option) == 12 && sizeof(hc_error) == 28, "build for wasm32");
_Static_assert(sizeof(hc_capability) == 28 && sizeof(hc_reply) == 32 && sizeof(hc_done) == 32, "build for wasm32");

/* return HC_DONE;  return HC_OK(hc_text, text);  return HC_FAIL(hc_reply, "not-found", "no such file"); */
#define HC_DONE ((hc_done){.is_error = false})
#define HC_OK(type, result) ((type){.is_error = false, .value = (result)})
#define HC_FAIL(type, code, message) HC_ERROR(type, ((hc_error){HC_S(code), HC_S(message), HC_NONE}))
/* Hand an error on: return HC_ERROR(hc_reply, got.error); */
#define HC_ERROR(type, what) ((type){.is_error = true, .error = (what)})
#define HC_NONE ((hc_option){.some = false})
#define HC_SOME(json) ((hc_option){.some = true, .text = (json)})

/* ---- What the host says of the module and of the message that it handles ------------------------------------ */

typedef enum { HC_TRACE, HC_DEBUG, HC_INFO, HC_WARN, HC_ERROR_LEVEL } hc_level;

typedef struct {
    bool some;
    uint64_t value;
} hc_option_u64;

typedef struct {
    hc_str name, version;
    uint32_t generation;
} hc_module_info;

typedef struct {
    hc_str id, sender, schema, trace;
    hc_option_u64 remaining_ms;
} hc_message_info;

typedef struct {
    bool some; /* false: no message is being handled */
    hc_message_info value;
} hc_option_message;

_Static_assert(sizeof(hc_module_info) == 20 && sizeof(hc_option_message) == 56, "build for wasm32");

/* ---- The module --------------------------------------------------------------------------------------------- */

/* The hooks of a module; those left out answer "unimplemented", or do nothing.  Payloads, states, arguments: JSON. */
typedef struct {
    hc_done (*initialize)(hc_str config);
    hc_reply (*handle_message)(hc_str topic, hc_str payload);
    hc_text (*execute)(hc_str input);
    hc_text (*get_state)(void);
    hc_done (*restore_state)(hc_str state);
    hc_done (*shutdown)(void);
    const hc_capability *capabilities;
    uint32_t capability_count;
    /* Only with HOSTCORE_HOOKS defined: hooks beyond these, and the signatures of all that the module has. */
    const hc_str *hooks;
    uint32_t hook_count;
    hc_reply (*call)(hc_str hook, hc_str arguments);
} hc_module;

/* Say which functions are the hooks, once: HC_MODULE(.handle_message = answer, .get_state = save); */
#define HC_MODULE(...) const hc_module hc_this_module = {__VA_ARGS__}
extern const hc_module hc_this_module;

/* A function of a header that a guest need not use. */
#define HC_FN static inline __attribute__((unused))
#define HC_EXPORT(name) __attribute__((export_name(name), used, visibility("default")))

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* An arena is a list of pieces of memory, used in turn; emptying it goes back to the first.  It never gives any back,
 * as WebAssembly has no way to. */
typedef struct hc_piece {
    struct hc_piece *next;
    uintptr_t end;
} hc_piece;

typedef struct {
    hc_piece *first, *at;
    uintptr_t top;
} hc_arena;

static hc_arena hc_per_call, hc_kept;

HC_FN void hc_arena_reset(hc_arena *arena)
{
    arena->at = arena->first;
    if (arena->first)
        arena->top = (uintptr_t)(arena->first + 1);
}

/* Add a piece in which `n` bytes have room; false: the memory is at its limit. */
HC_FN bool hc_arena_grow(hc_arena *arena, uint32_t n)
{
    size_t pages = ((size_t)n + sizeof(hc_piece) + 65535) >> 16;
    size_t at = __builtin_wasm_memory_grow(0, pages);
    if (at == (size_t)-1)
        return false;
    uintptr_t start = at << 16, end = start + (pages << 16);
    if (end > 0x80000000u) /* a pointer beyond 2 GiB has no room in a result of the core ABI */
        return false;
    if (arena->at && arena->at->end == start) { /* right behind the last piece: make that longer */
        arena->at->end = end;
        return true;
    }
    hc_piece *piece = (hc_piece *)start;
    *piece = (hc_piece){.next = NULL, .end = end};
    if (arena->at)
        arena->at->next = piece;
    else
        arena->first = piece;
    arena->at = piece;
    arena->top = start + sizeof(hc_piece);
    return true;
}

/* Take `n` bytes; NULL: there is no memory for that.  `align` is a power of two, at most 8. */
HC_FN void *hc_arena_take(hc_arena *arena, uint32_t align, uint32_t n)
{
    if (n > 0x7fff0000u)
        return NULL;
    for (;;) {
        if (arena->at) {
            uintptr_t start = (arena->top + align - 1) & ~(uintptr_t)(align - 1);
            if (start <= arena->at->end && n <= arena->at->end - start) {
                arena->top = start + n;
                return (void *)start;
            }
            if (arena->at->next) {
                arena->at = arena->at->next;
                arena->top = (uintptr_t)(arena->at + 1);
                continue;
            }
        }
        if (!hc_arena_grow(arena, n + align))
            return NULL;
    }
}

/* Take memory that lives until the hook returns; NULL: there is none. */
HC_FN void *hc_try_alloc(uint32_t n)
{
    return hc_arena_take(&hc_per_call, 8, n);
}

/* The same; traps where there is none. */
HC_FN void *hc_alloc(uint32_t n)
{
    void *got = hc_try_alloc(n);
    if (!got)
        __builtin_trap();
    return got;
}

HC_FN void hc_copy(void *to, const void *from, uint32_t n)
{
    if (n)
        __builtin_memmove(to, from, n);
}

/* A text that outlives the call, such as a configuration; begin with an empty one: static hc_kept_str config; */
typedef struct {
    hc_str text;
    uint32_t room;
} hc_kept_str;

/* Copy `text` into `slot`, over what it held. */
HC_FN void hc_keep(hc_kept_str *slot, hc_str text)
{
    if (text.n > slot->room) {
        uint32_t room = text.n < 0x20000000u ? 2 * text.n + 32 : text.n; /* so that growing costs little in all */
        char *place = hc_arena_take(&hc_kept, 1, room);
        if (!place)
            __builtin_trap();
        *slot = (hc_kept_str){{place, 0}, room};
    }
    hc_copy((char *)slot->text.p, text.p, text.n);
    slot->text.n = text.n;
}

/* ---- Texts -------------------------------------------------------------------------------------------------- */

HC_FN bool hc_eq(hc_str one, hc_str other)
{
    if (one.n != other.n)
        return false;
    for (uint32_t i = 0; i < one.n; i++)
        if (one.p[i] != other.p[i])
            return false;
    return true;
}

HC_FN hc_str hc_join(const hc_str *parts, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].n > 0x7fff0000u - n)
            __builtin_trap();
        n += parts[i].n;
    }
    char *out = hc_alloc(n), *at = out;
    for (uint32_t i = 0; i < count; at += parts[i].n, i++)
        hc_copy(at, parts[i].p, parts[i].n);
    return (hc_str){out, n};
}

/* One text of several: HC_CONCAT(HC_S("{\"count\":"), hc_number(count), HC_S("}")). */
#define HC_CONCAT(...) \
    hc_join((const hc_str[]){__VA_ARGS__}, sizeof((const hc_str[]){__VA_ARGS__}) / sizeof(hc_str))

/* A number as decimal text, which is also its JSON. */
HC_FN hc_str hc_number(uint64_t number)
{
    char *end = (char *)hc_alloc(20) + 20, *at = end;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    return (hc_str){at, (uint32_t)(end - at)};
}

#include "hostcore_json.h"

#endif
