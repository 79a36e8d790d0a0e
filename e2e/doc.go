// Package e2e tests the built belay from outside, against a real Kubernetes, a real Git server and a real registry.
// Each script in testdata is a promise, named by its file; those in testdata/real need containers that run.
//
// The cluster is started by the module in e2e/cluster, or is the one that KUBECONFIG names if E2E_CLUSTER is set: see
// README.md.
package e2e
