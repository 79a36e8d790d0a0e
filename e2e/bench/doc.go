// Command bench measures what belay costs: seconds, requests to the API server, CPU, memory and bytes from Git, each beside
// a target and, where the cluster is the limit, beside a floor: a bare client that makes only the requests that nobody can
// do without. It runs on the cluster of e2e/cluster, where nothing runs in a pod.
//
//	make bench                                        # everything, 40 minutes and more
//	make bench-short                                  # what CI runs: fails on counts of requests, never on seconds
//	go run ./e2e/bench -only '^apps' -n 100 -sweep    # some of it
//
// # How requests are counted
//
// By the API server's own metrics. Those of its priority and fairness have no verb, but a flow schema, and a flow schema can
// be for one user and one verb: belay and the floor each have a service account here, and a flow schema for each verb of it
// (flows.go), all in the priority level that service accounts have anyway. So what the control plane does of its own accord
// is not in any count, and nothing has to be subtracted. Dry runs are told from writes by apiserver_request_total, whose
// label dry_run only belay and the floor ever set. Renewals of leases and the opening of watches are counted apart.
//
// # How the rest is measured
//
// CPU is utime and stime of the process and of all below it, ended or not (/proc). Peak memory is VmHWM, which is reset
// when a step begins; that of the processes below it is read ten times a second. Bytes from Git are what a TCP proxy before
// the Git server passes on. Times are by this process's clock: what happens in the cluster is heard of through a watch.
package main
