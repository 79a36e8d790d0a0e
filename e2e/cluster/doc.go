// Package cluster runs a throwaway Kubernetes cluster for tests and demos, with a Git server and an image
// registry beside it.
//
// Everything is built from Go modules by the go command that builds the tests: neither Docker, nor a
// virtual machine, nor a downloaded program is needed. The control plane is always the real one. The nodes are
// either simulated, by kwok and the stages in this folder, and need no rights; or there is one real node with
// kubelet, containerd, runc and kube-proxy, which needs Linux and root, and which is kept in namespaces of its
// own together with all the rest, so that nothing of it is left on the machine when it stops.
//
// It leaves to others what runs in the cluster. It has no cluster DNS and no storage.
package cluster
