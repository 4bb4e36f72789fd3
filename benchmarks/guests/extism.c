/* The same work as bench.c as a plug-in of Extism, straight on the functions of its kernel.
 *
 * As with Extism's own kits, input is copied into the plug-in's memory and output out of it, eight bytes at a time.
 */
#include <stdint.h>

#define ENV(name) __attribute__((import_module("extism:host/env"), import_name(name)))
ENV("input_length") uint64_t input_length(void);
ENV("input_load_u8") uint32_t input_load_u8(uint64_t);
ENV("input_load_u64") uint64_t input_load_u64(uint64_t);
ENV("alloc") uint64_t kernel_alloc(uint64_t);
ENV("length") uint64_t kernel_length(uint64_t);
ENV("store_u8") void store_u8(uint64_t, uint32_t);
ENV("store_u64") void store_u64(uint64_t, uint64_t);
ENV("output_set") void output_set(uint64_t, uint64_t);
__attribute__((import_module("extism:host/user"), import_name("kv_get"))) uint64_t kv_get(uint64_t);

#define EXPORT(name) __attribute__((export_name(name)))
static union {
    uint8_t bytes[1 << 20];
    uint64_t words[1 << 17];
} data;

static uint64_t stored(uint64_t length)
{
    uint64_t place = kernel_alloc(length), i = 0;
    for (; i + 8 <= length; i += 8)
        store_u64(place + i, data.words[i / 8]);
    for (; i < length; i++)
        store_u8(place + i, data.bytes[i]);
    return place;
}

EXPORT("echo") int32_t echo(void)
{
    uint64_t length = input_length(), i = 0;
    if (length > sizeof data)
        return 1;
    for (; i + 8 <= length; i += 8)
        data.words[i / 8] = input_load_u64(i);
    for (; i < length; i++)
        data.bytes[i] = (uint8_t)input_load_u8(i);
    output_set(stored(length), length);
    return 0;
}

EXPORT("get") int32_t get(void)
{
    data.bytes[0] = 'k';
    uint64_t value = kv_get(stored(1));
    output_set(value, kernel_length(value));
    return 0;
}
