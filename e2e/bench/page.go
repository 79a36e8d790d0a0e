package main

import (
	"fmt"
	"strings"
)

// page is docs/performance.md.
func page(r Report) string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, `# Performance

What belay costs at rest, in a burst, and in memory. This page is written by `+"`make bench`"+`; nothing in it is typed by hand but the text.

Measured on %s with %s, %d cores (%s), %d GiB of memory, Linux %s, %s, Kubernetes %s, Git %s. The API server, etcd, the
controllers, the Git server and belay share those cores. No container runs: nodes are simulated. Seconds are this machine's; ratios and requests
carry over.

`, m.Date.Format("2006-01-02"), m.Belay, m.Cores, m.Processor, m.MemoryGiB, m.Kernel, m.Go, m.Kubernetes, m.Git)
	b.WriteString("## Goals\n\nIn parentheses: how many Syncs, or objects of one Sync, or references. Medians.\n\n")
	markdownRows(&b, goalRows(r.Verdicts))
	b.WriteString(pageMethod)
	b.WriteString("## All steps\n\nSeconds, requests, CPU and bytes are those of one try, at the median where there are several; \"rest\" is one try of all its seconds. RSS is the peak of the agent's process,\n" +
		"\"renders\" that of its render processes together.\n\n")
	markdownRows(&b, resultRows(r.Results))
	b.WriteString("### Requests by kind\n\n\"secret\" are the stored releases, \"sync\" writes of a Sync that are no status, \"other\" discovery. Opened watches are beside the count, and there is no lease.\n\n")
	markdownRows(&b, requestRows(r.Results))
	b.WriteString("### Further figures\n\n")
	markdownRows(&b, figureRows(r.Results))
	if rows := sweepRows(r.Results); len(rows) > 1 {
		b.WriteString("### The floor, by requests in flight\n\nFirst deploy of 100 Syncs.\n\n")
		markdownRows(&b, rows)
	}
	b.WriteString(pageOthers)
	b.WriteString(pageRepeat)
	return b.String()
}

const pageMethod = `## How it is measured

- **Apps.** So many Syncs, ten to a namespace, of one repository with a folder for each: a Deployment scaled to zero, a ServiceAccount, a Service and an
  Ingress, plain YAML, each in a file. ` + "`source.interval: 1m`, `health.stableFor: 0s`, `images.resolve: Never`" + `.
- **First deploy** is from the start of the agent's process, with all Syncs there, until the last one is kept. **All changed** is a commit that changes all four
  objects of each app, from the end of the push until the last Sync is kept. **One changed** is a commit that changes one app's Deployment, from the end of the
  push, before the poke, until a watch shows the change; requests are counted until all is told.
- **The floor** is a client that sends what nobody can do without, and nothing else: for each Sync a dry run and a server-side apply of each object, a Secret of
  about the size of belay's release, and a status. Its requests are made up before the clock starts, and their answers are not looked at. It has as many
  requests under way as belay, and runs before or after belay on the same cluster, in turn. It asks for the field validation that kubectl asks for; belay
  does without, since an apply refuses unknown fields anyway. Beside it, for information, the applies alone, and among the figures how long it takes
  until the controllers have observed what the floor applied: belay keeps no release before that.
- **Fairness.** A small app is deployed twenty times, alone and beside 1,000 Syncs of which a quarter crash, are never ready, are refused, and follow a branch
  that is not there, and are tried again.
- **ConfigMaps** are one Sync of so many, 1 KiB of generated settings each.
- **Drift** is made in one of 100 apps by hand, in the name of kubectl, from the answer to that until a watch shows the object to be right again.
- **Requests** are counted by the API server's own metrics: belay's account has a flow schema for each verb
  (` + "`apiserver_flowcontrol_dispatched_requests_total`" + `), so that nothing of the control plane's is in the count; dry runs are told from writes by
  ` + "`apiserver_request_total{dry_run}`" + `.
- **CPU** is that of the agent and its render processes (/proc), **RSS** is the kernel's high-water mark of the step, **bytes from Git** are counted by a proxy before the
  Git server.

`

const pageOthers = `## Others

Measured on 2 cores before, of the same work on a real control plane, as belay's issue 6 states it; not by this program.

| | Flux v2.9 | Argo CD |
|---|---|---|
| 100 apps of 4 objects, first deploy | 11.8–13.1 s | 26–32 s |
| a commit that changes all of them | 16.1 s (temporary files on tmpfs; 14.5–24 s on disk) | 31–40 s |
| one app, push to live | 0.18–0.28 s | 0.39–0.54 s |
| requests for an app of 4 objects | 34 | |
| a deleted Deployment is back after | 40 s | 0.27 s |
| requests a minute with nothing changing | 2,807 | 1–2 |
| memory at 100 apps | | 811–859 MB |
| one Sync of 1,000 ConfigMaps, first apply | 9.5 s, 4,016 requests | 136 s |
| one of them changed, push to live | 4.6–6.1 s, 3,016 requests | 48–50 s, 1,062 requests |
| nothing changed | 3,013 requests, 8 s of CPU | |
| 500 apps, first deploy | 81.7 s | 138 s |
| 500 apps, a commit that changes all | 72.7 s | 151 s |

Flux v2.9 itself publishes 26 s, 2 m 0 s and 4 m 13 s for 100, 500 and 1,000 Kustomizations of such objects from push to all reconciled, on 16 cores, and 134, 183
and 223 MiB for its kustomize-controller.

`

const pageRepeat = `## Again

    make bench                                             # everything
    make bench BENCHFLAGS='-markdown docs/performance.md'  # and this page
    make bench BENCHFLAGS='-only apps -n 100'              # some of it
    make bench-short                                       # what CI runs: fails on counts of requests, never on seconds
    go run ./e2e/bench -help
`

func markdownRows(b *strings.Builder, rows []row) {
	for i, r := range rows {
		b.WriteString("| " + strings.Join(r, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(r)) + "|\n")
		}
	}
	b.WriteString("\n")
}
