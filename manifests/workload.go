package manifests

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var workloads = []schema.GroupKind{
	{Kind: "Pod"}, {Kind: "ReplicationController"},
	{Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "StatefulSet"}, {Group: "apps", Kind: "DaemonSet"}, {Group: "apps", Kind: "ReplicaSet"},
	job,
}

// Workloads are the kinds of Kubernetes' own that have pods behind them, or are pods, but for CronJobs, which have Jobs.
func Workloads() []schema.GroupKind { return slices.Clone(workloads) }

// IsWorkload tells whether a kind is one of [Workloads].
func IsWorkload(kind schema.GroupKind) bool { return slices.Contains(workloads, kind) }
