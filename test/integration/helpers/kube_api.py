#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kube_api.py PORT_FILE: as much of an API server as `kubectl debug`, `get pod` and `auth can-i` ask for, with one pod
called "pod". Its annotation is what everybody who makes a pod may write.

Prints each ephemeral container that it is sent, one line of JSON each."""
import http.server
import json
import sys

POD = {
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "pod", "namespace": "default", "resourceVersion": "1",
                 "uid": "0a1b2c3d-0000-4000-8000-000000000000",
                 "annotations": {"kubernetes.io/config.hash": "ffffffffffffffffffffffffffffffff"}},
    "spec": {"containers": [{"name": "app", "image": "app"}], "nodeName": "a-node"}, "status": {"phase": "Running"},
}
RESOURCES = [{"name": name, "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get", "patch"]}
             for name in ("pods", "pods/ephemeralcontainers")]
ANSWERS = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": RESOURCES},
    "/api/v1/namespaces/default/pods/pod": POD,
}


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        data = json.dumps(body or {"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}).encode()
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer(ANSWERS.get(self.path.split("?")[0]))

    def do_PATCH(self):
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(json.dumps(patch["spec"]["ephemeralContainers"][0], sort_keys=True), flush=True)
        self.answer(POD)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
                     "status": {"allowed": True}})

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1], "w", encoding="ascii") as port:
    port.write(str(server.server_port))
server.serve_forever()
