{
  "targets": [{
    "target_name": "strata",
    "sources": ["native/strata.cc"],
    "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except"],
    "defines": ["NAPI_VERSION=9"],
    "cflags_cc": ["-std=c++20", "-Wall", "-Wextra"]
  }]
}
