# One static library per instruction set, each with its own compiler flags; scripts/build-native.mjs finds out which of
# them the compiler knows and sets the variables have_*.
{
  "variables": {
    "have_avx2%": 0,
    "have_avx512%": 0,
    "have_avx512bf16%": 0,
    "have_amx%": 0
  },
  "target_defaults": {
    "default_configuration": "Release",
    "cflags!": ["-O3", "-fno-omit-frame-pointer"],
    "cflags": ["-O2", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wno-unused-function", "-Wno-ignored-attributes", "-Wno-uninitialized", "-Wno-maybe-uninitialized"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["-std=c++20", "-fno-exceptions", "-fno-rtti"],
    "xcode_settings": {
      "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
      "GCC_OPTIMIZATION_LEVEL": "2",
      "OTHER_CPLUSPLUSFLAGS": ["-fno-math-errno", "-fno-trapping-math", "-Wno-unused-function"]
    }
  },
  "targets": [
    {
      "target_name": "selkie",
      "sources": ["addon.cc", "dispatch.cc", "thread_pool.cc"],
      "conditions": [
        ["target_arch=='arm64'", { "dependencies": ["selkie_neon"] }, { "dependencies": ["selkie_baseline"] }],
        ["have_avx2==1", { "dependencies": ["selkie_avx2"], "defines": ["SELKIE_HAVE_AVX2"] }],
        ["have_avx512==1", { "dependencies": ["selkie_avx512"], "defines": ["SELKIE_HAVE_AVX512"] }],
        ["have_avx512bf16==1", { "dependencies": ["selkie_avx512bf16"], "defines": ["SELKIE_HAVE_AVX512BF16"] }],
        ["have_amx==1", { "dependencies": ["selkie_amx"], "defines": ["SELKIE_HAVE_AMX"] }]
      ]
    }
  ],
  "conditions": [
    ["target_arch=='arm64'", {
      "targets": [{ "target_name": "selkie_neon", "type": "static_library", "sources": ["isa/neon.cc"] }]
    }, {
      "targets": [{ "target_name": "selkie_baseline", "type": "static_library", "sources": ["isa/baseline.cc"] }]
    }],
    ["have_avx2==1", {
      "targets": [{
        "target_name": "selkie_avx2", "type": "static_library", "sources": ["isa/avx2.cc"],
        "cflags": ["-mavx2", "-mfma", "-mf16c"],
        "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx2", "-mfma", "-mf16c"] }
      }]
    }],
    ["have_avx512==1", {
      "targets": [{
        "target_name": "selkie_avx512", "type": "static_library", "sources": ["isa/avx512.cc"],
        "cflags": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"]
      }]
    }],
    ["have_avx512bf16==1", {
      "targets": [{
        "target_name": "selkie_avx512bf16", "type": "static_library", "sources": ["isa/avx512bf16.cc"],
        "cflags": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mavx512bf16"]
      }]
    }],
    ["have_amx==1", {
      "targets": [{
        "target_name": "selkie_amx", "type": "static_library", "sources": ["isa/amx.cc"],
        "cflags": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"]
      }]
    }]
  ]
}
