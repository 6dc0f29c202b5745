{
  "targets": [{
    "target_name": "strata",
    "conditions": [
      ["OS=='linux'", {
        "sources": [
          "native/arrival.cc",
          "native/checksum.cc",
          "native/coalesce.cc",
          "native/departure.cc",
          "native/device.cc",
          "native/headers.cc",
          "native/interface.cc",
          "native/kernel_thread.cc",
          "native/net_namespace.cc",
          "native/packet_socket.cc",
          "native/poller.cc",
          "native/segment_out.cc",
          "native/strata.cc",
          "native/tap.cc",
          "native/testing.cc",
          "native/udp_join.cc",
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
