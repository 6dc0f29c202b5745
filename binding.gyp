{
  "targets": [{
    "target_name": "strata",
    "conditions": [
      ["OS=='linux'", {
        "sources": [
          "native/device.cc",
          "native/interface.cc",
          "native/net_namespace.cc",
          "native/packet_socket.cc",
          "native/poller.cc",
          "native/strata.cc",
          "native/tap.cc",
          "native/vnet_header.cc"
        ],
        "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except"],
        "defines": ["NAPI_VERSION=9"],
        "cflags_cc": ["-std=c++20", "-Wall", "-Wextra"]
      }, {
        "type": "none"
      }]
    ]
  }]
}
