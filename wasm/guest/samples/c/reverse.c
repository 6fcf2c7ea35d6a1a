// Reverses a text: a task in C, without a library. The input is a JSON string of plain characters.
#include "selvedge.h"

// The end of what the linker has placed; memory behind it is ours.
extern uint8_t __heap_base;
static uint8_t *next_free = &__heap_base;

__attribute__((export_name("selvedge_alloc"))) void *selvedge_alloc(size_t length) {
    uint8_t *at = next_free;
    next_free += (length + 15) & ~(size_t)15;
    size_t pages = ((uintptr_t)next_free + 65535) / 65536;
    size_t have = __builtin_wasm_memory_size(0);
    if (pages > have && __builtin_wasm_memory_grow(0, pages - have) == (size_t)-1) return NULL;
    return at;
}

static size_t put(uint8_t *to, const char *text) {
    size_t length = 0;
    while (text[length]) {
        to[length] = (uint8_t)text[length];
        length++;
    }
    return length;
}

SELVEDGE_TASK(reverse) {
    static const char refusal[] =
        "{\"error\":{\"message\":\"expected a string of plain characters\",\"code\":\"input\"},\"retryable\":false}";
    if (length < 2 || input[0] != '"' || input[length - 1] != '"') {
        return selvedge_answer(refusal, sizeof refusal - 1);
    }
    for (size_t i = 1; i + 1 < length; i++) {
        if (input[i] == '\\' || input[i] > 126) return selvedge_answer(refusal, sizeof refusal - 1);
    }
    selvedge_log(1, input, length);
    uint8_t *answer = selvedge_alloc(length + 16);
    if (!answer) __builtin_trap();
    size_t end = put(answer, "{\"output\":\"");
    for (size_t i = length - 2; i >= 1; i--) answer[end++] = input[i];
    end += put(answer + end, "\"}");
    return selvedge_answer(answer, end);
}
