// The door to JavaScript: a handful of functions over plain N-API. A context is an instruction set with its thread pool;
// `call` runs one kernel of a context on typed arrays. Nothing here knows what a kernel does.
#include <node_api.h>
#include <string.h>

#include "dispatch.h"
#include "thread_pool.h"

namespace {

using selkie::InstructionSet;
using selkie::View;

constexpr size_t kMaxNumbers = 64;
constexpr size_t kMaxViews = 24;
constexpr size_t kFixedArguments = 3;  // context, kernel, numbers

struct Context {
  const selkie::KernelTable* table;
  selkie::ThreadPool pool;
};

napi_value fail(napi_env env, const char* message) {
  napi_throw_error(env, nullptr, message);
  return nullptr;
}

// Data type and memory of one typed array; false when the value is neither a supported typed array nor null.
bool readView(napi_env env, napi_value value, View* view) {
  napi_typedarray_type type;
  void* data = nullptr;
  size_t length = 0;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok) {
    napi_valuetype kind;
    if (napi_typeof(env, value, &kind) != napi_ok || (kind != napi_null && kind != napi_undefined)) return false;
    *view = {nullptr, selkie::kF32, 0};
    return true;
  }
  switch (type) {
    case napi_float32_array: *view = {data, selkie::kF32, static_cast<int64_t>(length)}; return true;
    case napi_uint16_array: *view = {data, selkie::kBf16, static_cast<int64_t>(length)}; return true;
    case napi_int32_array: *view = {data, selkie::kI32, static_cast<int64_t>(length)}; return true;
    case napi_float64_array: *view = {data, selkie::kF64, static_cast<int64_t>(length)}; return true;
    default: return false;
  }
}

// call(context, kernel: number, numbers: Float64Array, ...arrays: (typed array | null)[]): void
napi_value call(napi_env env, napi_callback_info info) {
  napi_value arguments[kFixedArguments + kMaxViews];
  size_t count = kFixedArguments + kMaxViews;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  if (count < kFixedArguments || count > kFixedArguments + kMaxViews) return fail(env, "internal: call: wrong number of arguments");
  void* context = nullptr;
  int32_t kernel = -1;
  View numbers = {};
  if (napi_get_value_external(env, arguments[0], &context) != napi_ok || context == nullptr)
    return fail(env, "internal: call: no context");
  if (napi_get_value_int32(env, arguments[1], &kernel) != napi_ok || kernel < 0 || kernel >= selkie::kKernelCount)
    return fail(env, "internal: call: no such kernel");
  if (!readView(env, arguments[2], &numbers) || numbers.dtype != selkie::kF64)
    return fail(env, "internal: call: numbers must be a Float64Array");
  View views[kMaxViews] = {};  // arrays left out at the end are null
  for (size_t i = kFixedArguments; i < count; i++)
    if (!readView(env, arguments[i], &views[i - kFixedArguments]))
      return fail(env, "internal: call: arrays must be Float32Array, Uint16Array, Int32Array, Float64Array or null");
  auto* self = static_cast<Context*>(context);
  self->table->entries[kernel](views, static_cast<const double*>(numbers.data), self->pool);
  return nullptr;
}

// createContext(instructionSet: string, numThreads: number): opaque handle
napi_value createContext(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  char name[32] = {};
  size_t length = 0;
  int32_t numThreads = 0;
  if (count < 2 || napi_get_value_string_utf8(env, arguments[0], name, sizeof name, &length) != napi_ok ||
      napi_get_value_int32(env, arguments[1], &numThreads) != napi_ok || numThreads < 1 || numThreads > 1024)
    return fail(env, "internal: createContext: expected a name and 1 to 1024 threads");
  const InstructionSet* sets[selkie::kMaxInstructionSets];
  const int numSets = selkie::findInstructionSets(sets);
  for (int i = 0; i < numSets; i++) {
    if (strcmp(sets[i]->name, name) != 0) continue;
    auto* context = new Context{sets[i]->table, selkie::ThreadPool(numThreads)};
    const auto destroy = [](napi_env, void* data, void*) { delete static_cast<Context*>(data); };
    napi_value handle = nullptr;
    if (napi_create_external(env, context, destroy, nullptr, &handle) == napi_ok) return handle;
    delete context;
    return fail(env, "internal: createContext: no handle");
  }
  return fail(env, "internal: createContext: unknown instruction set");
}

// instructionSets(): string[], best first
napi_value instructionSets(napi_env env, napi_callback_info) {
  const InstructionSet* sets[selkie::kMaxInstructionSets];
  const int count = selkie::findInstructionSets(sets);
  napi_value list = nullptr;
  napi_create_array(env, &list);
  for (int i = 0; i < count; i++) {
    napi_value name = nullptr;
    napi_create_string_utf8(env, sets[i]->name, NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, list, static_cast<uint32_t>(i), name);
  }
  return list;
}

// allocate(numBytes: number): ArrayBuffer, 64-byte aligned, contents unspecified
napi_value allocate(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  int64_t numBytes = -1;
  if (count < 1 || napi_get_value_int64(env, argument, &numBytes) != napi_ok || numBytes < 0)
    return fail(env, "internal: allocate: expected a number of bytes");
  void* memory = selkie::alignedAllocate(static_cast<size_t>(numBytes));
  const auto release = [](napi_env, void* data, void*) { selkie::alignedFree(data); };
  napi_value buffer = nullptr;
  if (napi_create_external_arraybuffer(env, memory, static_cast<size_t>(numBytes), release, nullptr, &buffer) == napi_ok) return buffer;
  selkie::alignedFree(memory);
  return fail(env, "internal: allocate: this runtime does not take memory from outside");
}

void addFunction(napi_env env, napi_value exports, const char* name, napi_callback function) {
  napi_value value = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
  napi_set_named_property(env, exports, name, value);
}

// kernels: { [name]: id }
napi_value kernelIds(napi_env env) {
  napi_value ids = nullptr;
  napi_create_object(env, &ids);
#define SELKIE_NAME(name) #name,
  const char* const names[] = {SELKIE_KERNELS(SELKIE_NAME)};
#undef SELKIE_NAME
  for (int id = 0; id < selkie::kKernelCount; id++) {
    napi_value value = nullptr;
    napi_create_int32(env, id, &value);
    napi_set_named_property(env, ids, names[id], value);
  }
  return ids;
}

}  // namespace

NAPI_MODULE_INIT() {
  addFunction(env, exports, "call", call);
  addFunction(env, exports, "createContext", createContext);
  addFunction(env, exports, "instructionSets", instructionSets);
  addFunction(env, exports, "allocate", allocate);
  napi_set_named_property(env, exports, "kernels", kernelIds(env));
  return exports;
}
