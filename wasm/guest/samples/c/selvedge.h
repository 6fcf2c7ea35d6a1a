// WebAssembly tasks for Selvedge in C. docs/wasm-tasks.md is the contract.
#ifndef SELVEDGE_H
#define SELVEDGE_H

#include <stddef.h>
#include <stdint.h>

#define SELVEDGE_IMPORT(name) __attribute__((import_module("selvedge"), import_name(#name)))
// A function that tasks call: `SELVEDGE_TASK(reverse) { … }`, with `input` and `length`.
#define SELVEDGE_TASK(name) \
    __attribute__((export_name(#name))) uint64_t name(const uint8_t *input, size_t length)

// Prints to the task's log: stream 1 is stdout, 2 stderr.
SELVEDGE_IMPORT(log) void selvedge_log(int32_t stream, const void *text, size_t length);
// Copies what is remembered under a key, if it fits; answers its length, or -1 if there is nothing.
SELVEDGE_IMPORT(checkpoint_get)
int32_t selvedge_checkpoint_get(const void *key, size_t key_length, void *to, size_t room);
// Remembers a value: 0 stored, 1 there is one already, below 0 refused.
SELVEDGE_IMPORT(checkpoint_put)
int32_t selvedge_checkpoint_put(const void *key, size_t key_length, const void *at, size_t length);
// When the attempt began, in milliseconds since 1970.
SELVEDGE_IMPORT(now) int64_t selvedge_now(void);

// Where the host finds the answer.
static inline uint64_t selvedge_answer(const void *at, size_t length) {
    return ((uint64_t)(uintptr_t)at << 32) | length;
}

#endif
