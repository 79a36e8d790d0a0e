package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// act is a noise. It may have nothing to be made of at the moment, or be refused, as evictions are by a budget.
type act struct {
	name  string
	often int // in a bag
	make  func(n *noise, ctx context.Context) error
}

// undo is what ends a noise that lasts.
type undo struct {
	at time.Time
	do func(ctx context.Context) error
}

// acts are all of them. Leaders change in TestGoodReleasesUnderNoise's own goroutine, as all the others do.
var acts = []act{
	{"pods evicted", 5, (*noise).evict},
	{"pods deleted", 4, (*noise).deletePod},
	{"pods failed by the kubelet", 2, (*noise).failPod},
	{"scaled", 5, (*noise).scale},
	{"scaled beyond what fits", 1, (*noise).overload},
	{"nodes drained", 1, (*noise).drain},
	{"nodes not ready", 1, (*noise).unready},
	{"API errors in a burst", 1, (*noise).burst},
	{"connections cut", 1, (*noise).cutConnections},
	{"Git slow", 1, (*noise).slowGit},
	{"leaders ended", 1, func(n *noise, _ context.Context) error { return n.agent.replace(syscall.SIGTERM) }},
	{"leaders killed", 1, func(n *noise, _ context.Context) error { return n.agent.replace(syscall.SIGKILL) }},
}

var errNothing = errors.New("there was nothing to make it of")

// make makes the next noise if it is time, and ends those whose time is over.
func (n *noise) make(t *testing.T, pace time.Duration) {
	t.Helper()
	now := time.Now()
	var later []undo
	for _, u := range n.undo {
		if now.Before(u.at) {
			later = append(later, u)
		} else if err := u.do(t.Context()); err != nil {
			t.Fatalf("ending a noise: %v", err)
		}
	}
	n.undo = later
	n.agent.revive(t)
	if now.Before(n.next) {
		return
	}
	n.next = now.Add(pace)
	if len(n.bag) == 0 {
		for _, a := range acts {
			for range a.often {
				n.bag = append(n.bag, a)
			}
		}
		n.random.Shuffle(len(n.bag), func(i, j int) { n.bag[i], n.bag[j] = n.bag[j], n.bag[i] })
	}
	a := n.bag[0]
	n.bag = n.bag[1:]
	if err := a.make(n, t.Context()); err != nil {
		n.vain[a.name] = err
		return
	}
	n.made[a.name]++
}

// after has something taken back later.
func (n *noise) after(d time.Duration, do func(ctx context.Context) error) {
	n.undo = append(n.undo, undo{time.Now().Add(d), do})
}

// noisyPod is what is to be known of a pod.
type noisyPod struct {
	Metadata struct {
		Namespace, Name   string
		DeletionTimestamp *time.Time
		OwnerReferences   []struct{ Kind string }
	}
	Spec   struct{ NodeName string }
	Status struct{ Phase string }
}

func (p noisyPod) path() string {
	return "/api/v1/namespaces/" + p.Metadata.Namespace + "/pods/" + p.Metadata.Name
}

// pods lists those of the Syncs that are on their way or run.
func (n *noise) pods(ctx context.Context) ([]noisyPod, error) {
	var list struct{ Items []noisyPod }
	if err := n.api.try(ctx, http.MethodGet, "/api/v1/pods?labelSelector=noise%3Dtrue", "", "", &list); err != nil {
		return nil, err
	}
	var pods []noisyPod
	for _, p := range list.Items {
		if p.Metadata.DeletionTimestamp == nil && p.Spec.NodeName != "" && (p.Status.Phase == "Pending" || p.Status.Phase == "Running") {
			pods = append(pods, p)
		}
	}
	return pods, nil
}

func (n *noise) anyPod(ctx context.Context) (noisyPod, error) {
	pods, err := n.pods(ctx)
	if err == nil && len(pods) == 0 {
		err = errNothing
	}
	if err != nil {
		return noisyPod{}, err
	}
	return pods[n.random.IntN(len(pods))], nil
}

func (n *noise) evict(ctx context.Context) error {
	pod, err := n.anyPod(ctx)
	if err != nil {
		return err
	}
	return n.evictOne(ctx, pod)
}

func (n *noise) evictOne(ctx context.Context, pod noisyPod) error {
	body := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod.Metadata.Name, pod.Metadata.Namespace)
	return n.api.try(ctx, http.MethodPost, pod.path()+"/eviction", "application/json", body, &object{})
}

func (n *noise) deletePod(ctx context.Context) error {
	pod, err := n.anyPod(ctx)
	if err != nil {
		return err
	}
	return n.api.try(ctx, http.MethodDelete, pod.path(), "", "", &object{})
}

// failPod has a pod fail as a kubelet does whose node is short of memory, or goes down: the pod stays, failed.
func (n *noise) failPod(ctx context.Context) error {
	pod, err := n.anyPod(ctx)
	if err != nil {
		return err
	}
	now, reason := time.Now().UTC().Format(time.RFC3339), "Evicted"
	message := "The node was low on resource: memory. Threshold quantity: 100Mi, available: 96Mi."
	if n.random.IntN(2) == 0 {
		reason, message = "Terminated", "Pod was terminated in response to imminent node shutdown."
	}
	body := fmt.Sprintf(`{"status":{"phase":"Failed","reason":%q,"message":%q,"conditions":[
		{"type":"DisruptionTarget","status":"True","reason":"TerminationByKubelet","message":%[2]q,"lastTransitionTime":%[3]q},
		{"type":"Ready","status":"False","reason":"PodFailed","lastTransitionTime":%[3]q},
		{"type":"ContainersReady","status":"False","reason":"PodFailed","lastTransitionTime":%[3]q}]}}`, reason, message, now)
	return n.api.try(ctx, http.MethodPatch, pod.path()+"/status", "application/strategic-merge-patch+json", body, &object{})
}

// scale writes replicas as an autoscaler does.
func (n *noise) scale(ctx context.Context) error {
	s := n.syncs[n.random.IntN(len(n.syncs))]
	return n.scaleTo(ctx, s.namespace, 1+n.random.IntN(3))
}

func (n *noise) scaleTo(ctx context.Context, namespace string, replicas int) error {
	path := "/apis/apps/v1/namespaces/" + namespace + "/deployments/web/scale?fieldManager=kube-controller-manager"
	return n.api.try(ctx, http.MethodPatch, path, "application/merge-patch+json", fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas), &object{})
}

// overload wants more pods than all nodes take: 16 of these fit on one.
func (n *noise) overload(ctx context.Context) error {
	s := n.syncs[n.random.IntN(len(n.syncs))]
	if err := n.scaleTo(ctx, s.namespace, 16*noisyNodes+4); err != nil {
		return err
	}
	n.after(6*time.Second, func(ctx context.Context) error { return n.scaleTo(ctx, s.namespace, 2) })
	return nil
}

func (n *noise) patchNode(ctx context.Context, node, patch string) error {
	return n.api.try(ctx, http.MethodPatch, "/api/v1/nodes/"+node, "application/merge-patch+json", patch, &object{})
}

func (n *noise) anyNode() string { return fmt.Sprintf("node-%d", n.random.IntN(noisyNodes)) }

// drain cordons a node and evicts what runs there, but for the pods of DaemonSets; the node is back after some seconds.
func (n *noise) drain(ctx context.Context) error {
	node := n.anyNode()
	if err := n.patchNode(ctx, node, `{"spec":{"unschedulable":true}}`); err != nil {
		return err
	}
	n.after(8*time.Second, func(ctx context.Context) error { return n.patchNode(ctx, node, `{"spec":{"unschedulable":null}}`) })
	evict := func(ctx context.Context) error {
		pods, err := n.pods(ctx)
		for _, pod := range pods {
			owners := pod.Metadata.OwnerReferences
			if pod.Spec.NodeName == node && len(owners) > 0 && owners[0].Kind != "DaemonSet" {
				n.evictOne(ctx, pod) //nolint:errcheck // a budget may refuse it; kubectl drain tries again, too
			}
		}
		return err
	}
	n.after(3*time.Second, evict)
	n.after(5*time.Second, evict)
	return evict(ctx)
}

// unready has a node say that it is not ready, upon which its pods are not, either.
func (n *noise) unready(ctx context.Context) error {
	node := n.anyNode()
	if err := n.patchNode(ctx, node, `{"metadata":{"annotations":{"simulate.belay.dev/fail":"NotReady"}}}`); err != nil {
		return err
	}
	n.after(6*time.Second, func(ctx context.Context) error {
		return n.patchNode(ctx, node, `{"metadata":{"annotations":{"simulate.belay.dev/fail":null}}}`)
	})
	now := time.Now().UTC().Format(time.RFC3339)
	body := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":"False","reason":"KubeletNotReady",
		"message":"container runtime is down","lastHeartbeatTime":%q,"lastTransitionTime":%[1]q}]}}`, now)
	return n.api.try(ctx, http.MethodPatch, "/api/v1/nodes/"+node+"/status", "application/strategic-merge-patch+json", body, &object{})
}

func (n *noise) burst(context.Context) error {
	n.server.set(30)
	n.after(3*time.Second, func(context.Context) error { n.server.set(usualErrors); return nil })
	return nil
}

func (n *noise) cutConnections(context.Context) error {
	n.server.CloseClientConnections()
	return nil
}

func (n *noise) slowGit(context.Context) error {
	n.git.set(2 * time.Second)
	n.after(8*time.Second, func(context.Context) error { n.git.set(0); return nil })
	return nil
}
