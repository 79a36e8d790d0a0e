package cluster

import (
	"context"
	"slices"
	gosync "sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var nodes = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}

// Nodes come and go by the minute at most. A list of a thousand of them is not asked for by each of a thousand Syncs.
const (
	platformsFor     = time.Minute
	platformsTimeout = 10 * time.Second
)

// platforms is what the nodes were at the last look.
type platforms struct {
	clock func() time.Time

	mu    gosync.Mutex
	known []string
	until time.Time
}

// Platforms tells what the nodes run, as "linux/amd64", sorted. Where there is no node, as in a cluster that scales from
// zero, there is none. What it answers may be a minute old.
func (c *Cluster) Platforms(ctx context.Context) ([]string, error) {
	p := &c.platforms
	p.mu.Lock() // one asks, and the others that want to know wait for the answer
	defer p.mu.Unlock()
	if p.clock().Before(p.until) {
		return slices.Clone(p.known), nil
	}
	ctx, cancel := context.WithTimeout(ctx, platformsTimeout)
	defer cancel()
	known, err := c.readPlatforms(ctx)
	if err != nil {
		return nil, err
	}
	p.known, p.until = known, p.clock().Add(platformsFor)
	return slices.Clone(known), nil
}

func (c *Cluster) readPlatforms(ctx context.Context) ([]string, error) {
	// From the API server's memory, and without what makes nodes large.
	list, err := c.records.Resource(nodes).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if apierrors.IsForbidden(err) {
		return nil, &Error{Reason: "Forbidden", Object: "listing the nodes", Temporary: true, After: time.Minute,
			Detail: `what they run has to be known, and may not be read; add to a ClusterRole: {apiGroups: [""], resources: [nodes], verbs: [get, list]}`}
	}
	if err != nil {
		return nil, describe("listing the nodes", "Node", err)
	}
	var found, unlabelled []string
	for _, node := range list.Items {
		if platform := platformOf(node.Labels[corev1.LabelOSStable], node.Labels[corev1.LabelArchStable]); platform != "" {
			found = append(found, platform)
		} else {
			unlabelled = append(unlabelled, node.Name)
		}
	}
	told, errs := make([]string, len(unlabelled)), make([]error, len(unlabelled))
	each(len(unlabelled), func(i int) {
		var node *unstructured.Unstructured
		if node, errs[i] = c.own.Resource(nodes).Get(ctx, unlabelled[i], metav1.GetOptions{}); errs[i] != nil {
			errs[i] = describe("Node/"+unlabelled[i], "Node", errs[i])
			return
		}
		info, _, _ := unstructured.NestedStringMap(node.Object, "status", "nodeInfo")
		told[i] = platformOf(info["operatingSystem"], info["architecture"])
	})
	if err := all(errs); err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(append(found, told...), func(platform string) bool { return platform == "" })
	slices.Sort(found)
	return slices.Compact(found), nil
}

// platformOf is "" of a node that does not say what it is yet.
func platformOf(os, architecture string) string {
	if os == "" || architecture == "" {
		return ""
	}
	return os + "/" + architecture
}
