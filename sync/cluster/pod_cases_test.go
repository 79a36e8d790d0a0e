// FAULTS, Health: CrashLoopBackOff, ImagePullBackOff, Unschedulable and their like fail early; pod evicted, node drained.

package cluster

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

// saying is a container that waits with a message.
func saying(reason, message string) corev1.ContainerStatus {
	c := waiting(reason)
	c.State.Waiting.Message = message
	return c
}

func endedAs(code int32, reason string) corev1.ContainerState {
	state := ended(code)
	state.Terminated.Reason = reason
	return state
}

// A wrong "failed" takes a good release away: what a node, a registry or the moment may be to blame for is waited for.
func TestWhatFailsAtOnceAndWhatWaits(t *testing.T) {
	const progressing, failed, healthy = manifests.Progressing, manifests.Unhealthy, manifests.Healthy
	now := time.Unix(1000, 0)
	ran := revisionNote{scheduled: true, ran: true, started: map[string]bool{"c": true}}
	one := func(c corev1.ContainerStatus) corev1.PodStatus {
		return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{c}}
	}
	unscheduled := func(reason, message string) corev1.PodStatus {
		return corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message}}}
	}
	noNode := unscheduled("Unschedulable", "0/1 nodes are available")
	nominated := unscheduled("Unschedulable", "0/1 nodes are available")
	nominated.NominatedNodeName = "n"
	mounting := one(waiting("ContainerCreating"))
	noSecret := warning{message: `MountVolume.SetUp failed for volume "v" : secret "nope" not found`, first: now.Add(-time.Minute)}
	early := noSecret
	sandboxed := mounting
	sandboxed.Conditions = []corev1.PodCondition{{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue}}
	early.first = now.Add(-20 * time.Second)
	disrupted := one(after(waiting("CrashLoopBackOff"), 5, ended(1)))
	disrupted.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI"}}
	evicted := one(after(waiting("CrashLoopBackOff"), 5, ended(1)))
	evicted.Phase, evicted.Reason = corev1.PodFailed, "Evicted"
	initOnly := func(c corev1.ContainerStatus) corev1.PodStatus {
		c.Name = "migrate"
		return corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{c}, ContainerStatuses: []corev1.ContainerStatus{waiting("PodInitializing")}}
	}
	for _, test := range []struct {
		name   string
		sight  sight
		status corev1.PodStatus
		want   manifests.Condition
		reason string
		again  time.Duration
		says   string
	}{
		{"a pull that is given up", sight{}, one(waiting("ImagePullBackOff")), failed, "ImagePullBackOff", 0, "container c: because"},
		{"a pull of what another node has started", sight{revision: ran}, one(waiting("ImagePullBackOff")), progressing, "ImagePullBackOff", 0, "because"},
		{"a pull of another container's image than was started", sight{revision: revisionNote{started: map[string]bool{"other": true}}}, one(waiting("ImagePullBackOff")), failed, "ImagePullBackOff", 0, ""},
		{"a pull from a registry that limits", sight{}, one(saying("ImagePullBackOff", "429 Too Many Requests: toomanyrequests")), progressing, "ImagePullBackOff", 0, "toomany"},
		{"a pull from a registry that is down", sight{}, one(saying("ImagePullBackOff", "unexpected status: 503 Service Unavailable")), progressing, "ImagePullBackOff", 0, ""},
		{"an image without a name, whatever was started", sight{revision: ran}, one(waiting("InvalidImageName")), failed, "InvalidImageName", 0, ""},
		{"an image that is never pulled", sight{}, one(waiting("ErrImageNeverPull")), failed, "ErrImageNeverPull", 0, ""},
		{"a Secret that is missing", sight{}, one(saying("CreateContainerConfigError", `secret "nope" not found`)), failed, "CreateContainerConfigError", 0, "nope"},
		{"a Secret that a custom resource may make", sight{awaited: true}, one(saying("CreateContainerConfigError", `secret "nope" not found`)), progressing, "CreateContainerConfigError", 0, "nope"},
		{"a root user, custom resources or not", sight{awaited: true}, one(saying("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")), failed, "CreateContainerConfigError", 0, ""},
		{"a kubelet whose cache is not filled", sight{}, one(saying("CreateContainerConfigError", "failed to sync configmap cache: timed out waiting for the condition")), progressing, "CreateContainerConfigError", 0, ""},
		{"a runtime that is too busy", sight{}, one(saying("CreateContainerError", "context deadline exceeded")), progressing, "CreateContainerError", 0, ""},
		{"a command that does not exist", sight{}, one(saying("RunContainerError", `exec: "nope": executable file not found`)), failed, "RunContainerError", 0, "nope"},

		{"no node for 29 s", sight{unschedulable: now.Add(-29 * time.Second)}, noNode, progressing, "Unschedulable", time.Second, "0/1 nodes"},
		{"no node for 30 s", sight{unschedulable: now.Add(-30 * time.Second)}, noNode, failed, "Unschedulable", 0, "0/1 nodes"},
		{"no node, and it is not known since when", sight{}, noNode, progressing, "Unschedulable", 0, ""},
		{"no node for one more than there were", sight{unschedulable: now.Add(-time.Hour), revision: ran}, noNode, progressing, "Unschedulable", 0, ""},
		{"no node until others have left it", sight{unschedulable: now.Add(-time.Hour)}, nominated, progressing, "Unschedulable", 0, ""},
		{"not to be scheduled yet", sight{unschedulable: now.Add(-time.Hour)}, unscheduled("SchedulingGated", "gate"), progressing, "SchedulingGated", 0, ""},

		{"a volume of what is missing, for 20 s", sight{mount: early}, mounting, progressing, "FailedMount", 10 * time.Second, "nope"},
		{"a volume of what is missing, for a minute", sight{mount: noSecret}, mounting, failed, "FailedMount", 0, "nope"},
		{"a volume of what is missing by now", sight{mount: noSecret, revision: ran}, mounting, progressing, "FailedMount", 0, ""},
		{"a volume of what a custom resource may make", sight{mount: noSecret, awaited: true}, mounting, progressing, "FailedMount", 0, ""},
		{"a volume that its server does not give", sight{mount: warning{message: "mount.nfs: Connection timed out", first: now.Add(-time.Hour)}}, mounting, progressing, "FailedMount", 0, "nfs"},
		{"a volume that was given, and an image that is pulled", sight{mount: noSecret}, sandboxed, progressing, "", 0, "is starting"},
		{"a volume that was given in the end", sight{mount: noSecret}, one(running()), progressing, "", 0, "is not ready"},

		{"a probe that fails", sight{probe: warning{message: "Readiness probe failed: 503", container: "c"}}, one(running()), progressing, "Unhealthy", 0, "pod cart-1, container c: Readiness probe failed: 503"},
		{"a probe that ends the container again and again", sight{probe: warning{message: "Liveness probe failed: 500"}}, one(after(waiting("CrashLoopBackOff"), 3, ended(137))), failed, "CrashLoopBackOff", 0, "Liveness probe failed"},
		{"a crash that has nothing to do with the probe", sight{probe: warning{message: "Readiness probe failed"}}, one(after(waiting("CrashLoopBackOff"), 3, ended(2))), failed, "CrashLoopBackOff", 0, "exit code 2, restarts: 3"},
		{"too little memory", sight{}, one(after(waiting("CrashLoopBackOff"), 3, endedAs(137, "OOMKilled"))), failed, "OOMKilled", 0, "exit code 137"},
		{"too little memory once", sight{}, one(after(running(), 1, endedAs(137, "OOMKilled"))), progressing, "", 0, "is not ready"},
		{"a node that was started anew", sight{}, one(after(waiting("CrashLoopBackOff"), 1, endedAs(137, "ContainerStatusUnknown"))), progressing, "CrashLoopBackOff", 0, ""},
		{"an init container that crashes", sight{}, initOnly(after(waiting("CrashLoopBackOff"), 2, ended(1))), failed, "CrashLoopBackOff", 0, "init container migrate"},
		{"an init container that fails for the second time", sight{}, initOnly(after(corev1.ContainerStatus{State: ended(1)}, 1, ended(1))), failed, "CrashLoopBackOff", 0, "init container migrate"},

		{"an init container that does not end", sight{}, initOnly(running()), progressing, "", 0, "init container migrate has not ended"},

		{"an eviction", sight{}, evicted, progressing, "", 0, "Evicted"},
		{"a drain", sight{}, disrupted, progressing, "", 0, "EvictionByEvictionAPI"},
		{"work that is done", sight{}, corev1.PodStatus{Phase: corev1.PodSucceeded}, healthy, "", 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.sight
			s.pod, s.now = &corev1.Pod{Status: test.status}, now
			s.pod.Name = "cart-1"
			got := podHealth(s)
			if got.Condition != test.want || got.Reason != test.reason || got.Again != test.again || !strings.Contains(got.Message, test.says) {
				t.Errorf("got %+v, want %s %s again in %s, %q", got.Health, test.want, test.reason, test.again, test.says)
			}
		})
	}
}

func TestAContainerThatNeverRanWasNotStarted(t *testing.T) {
	for _, test := range []struct {
		name string
		c    corev1.ContainerStatus
		want bool
	}{
		{"it runs", running(), true},
		{"it ran", after(waiting("CrashLoopBackOff"), 1, ended(1)), true},
		{"it is pulled", waiting("ImagePullBackOff"), false},
		{"its command does not exist", after(waiting("CrashLoopBackOff"), 1, endedAs(128, "StartError")), false},
		{"its command does not exist, says Docker", after(waiting("CrashLoopBackOff"), 1, endedAs(127, "ContainerCannotRun")), false},
	} {
		if got := started(test.c); got != test.want {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
}

func TestPodsThatAreNotLetInFailTheRelease(t *testing.T) {
	now := time.Unix(1000, 0)
	const denied = `admission webhook "policy.example.org" denied the request: no`
	const quota = `pods "cart-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2`
	const limits = `pods "cart-x" is forbidden: failed quota: small: must specify limits.cpu`
	for _, test := range []struct {
		name    string
		message string
		waited  time.Duration
		pods    int
		awaited bool
		want    manifests.Condition
		again   time.Duration
	}{
		{"denied just now", denied, time.Second, 0, false, manifests.Progressing, time.Second},
		{"denied for two seconds", denied, 2 * time.Second, 0, false, manifests.Unhealthy, 0},
		{"denied though others were let in", denied, 2 * time.Second, 1, false, manifests.Unhealthy, 0},
		{"against pod security", `pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged`, 2 * time.Second, 0, false, manifests.Unhealthy, 0},
		{"without the limits that a quota wants", limits, 2 * time.Second, 0, false, manifests.Unhealthy, 0},
		{"over the quota for two seconds", quota, 2 * time.Second, 0, false, manifests.Progressing, 28 * time.Second},
		{"over the quota for thirty", quota, 30 * time.Second, 0, false, manifests.Unhealthy, 0},
		{"over the quota with some of the pods", quota, time.Hour, 1, false, manifests.Progressing, 0},
		{"a webhook that does not answer", `Internal error occurred: failed calling webhook "x": connection refused`, time.Hour, 0, false, manifests.Progressing, 0},
		{"a quota that nobody has counted yet", `pods "x" is forbidden: status unknown for quota: small, resources: pods`, 3 * time.Second, 0, false, manifests.Progressing, 27 * time.Second},
		{"no service account", `pods "x-" is forbidden: error looking up service account shop/a: serviceaccount "a" not found`, 3 * time.Second, 0, false, manifests.Unhealthy, 0},
		{"no service account yet", `pods "x-" is forbidden: error looking up service account shop/a: serviceaccount "a" not found`, time.Hour, 0, true, manifests.Progressing, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := refusal{test.message, now.Add(-test.waited), test.pods, test.awaited}.finding(now)
			if got.Condition != test.want || got.Again != test.again || got.Reason != failedCreate || !strings.Contains(got.Message, test.message) {
				t.Errorf("got %+v", got.Health)
			}
		})
	}
}

// anEvent is an event on an object.
type anEvent struct {
	about types.UID
	live  bool
}

func TestWhoRefusesAWorkloadsPodsIsHeard(t *testing.T) {
	const condition = `conditions: [{type: ReplicaFailure, status: "True", message: "denied the request"}]`
	pod := aPod("cart-1", 0)
	pod.UID = "pod"
	for _, test := range []struct {
		name    string
		text    string
		event   anEvent // live or not, on which UID
		came    string  // when the pod came, by the event; long before it where that is empty
		current bool    // there is a pod
		want    string
	}{
		{"by a Deployment's condition", `{apiVersion: apps/v1, kind: Deployment, metadata: {uid: w}, status: {` + condition + `}}`, anEvent{}, "", false, "denied the request"},
		{"not by that of the ReplicaSet before", `{apiVersion: apps/v1, kind: Deployment, metadata: {uid: w}, status: {updatedReplicas: 1, ` + condition + `}}`, anEvent{}, "", true, ""},
		{"by an event on the newest ReplicaSet", `{apiVersion: apps/v1, kind: Deployment, metadata: {uid: w}}`, anEvent{"new", true}, "", true, "told"},
		{"not by one on another", `{apiVersion: apps/v1, kind: Deployment, metadata: {uid: w}}`, anEvent{"old", true}, "", true, ""},
		{"by a ReplicationController's condition", `{apiVersion: v1, kind: ReplicationController, metadata: {uid: w}, spec: {selector: {a: b}}, status: {` + condition + `}}`, anEvent{}, "", true, "denied the request"},
		{"by an event on a StatefulSet", `{apiVersion: apps/v1, kind: StatefulSet, metadata: {uid: w}}`, anEvent{"w", true}, "", false, "told"},
		{"not by one of a time before", `{apiVersion: apps/v1, kind: StatefulSet, metadata: {uid: w}}`, anEvent{"w", false}, "", false, ""},
		{"not by one that is told of a moment after the pod that came after all", `{apiVersion: apps/v1, kind: StatefulSet, metadata: {uid: w}}`, anEvent{"w", true}, "just before", true, ""},
		{"not by one before the pod that came after all", `{apiVersion: apps/v1, kind: StatefulSet, metadata: {uid: w}}`, anEvent{"w", true}, "after", true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			w, _ := workloadOf(live(t, test.text))
			memory := newPodMemory()
			memory.note(pod, now.Add(map[string]time.Duration{"": -time.Minute, "just before": -2 * time.Second, "after": 0}[test.came]))
			if test.event.about != "" {
				event := &corev1.Event{Reason: failedCreate, Message: "told"}
				event.InvolvedObject.UID = test.event.about
				memory.warned(event, test.event.live, now.Add(-time.Second))
			}
			var current []*corev1.Pod
			if test.current {
				current = append(current, pod)
			}
			got, is := podsOf{newest: newestSet{uid: "new"}, memory: memory}.refusal(w, current, now)
			if got.message != test.want || is != (test.want != "") {
				t.Errorf("got %q, %t", got.message, is)
			}
		})
	}
}

func TestWhatIsWrongWithAClaimIsSaid(t *testing.T) {
	for _, test := range []struct {
		name  string
		claim claimState
		want  manifests.Condition
		says  string
	}{
		{"it is missing", claimState{missing: true}, manifests.Unhealthy, "does not exist"},
		{"its class is missing", claimState{class: "fast", classMissing: true}, manifests.Unhealthy, "there is no StorageClass fast"},
		{"it has no class", claimState{}, manifests.Unhealthy, "no default one"},
		{"nobody makes its volume", claimState{class: "fast", provisioner: "x/y"}, manifests.Unhealthy, "its provisioner x/y has not answered"},
		{"somebody makes its volume", claimState{class: "fast", provisioner: "x/y", answered: true}, manifests.Progressing, "at work"},
		{"its volume cannot be made", claimState{class: "fast", provisioner: "x/y", answered: true, warning: "no space"}, manifests.Unhealthy, "no space"},
		{"its volume takes long", claimState{class: "fast", provisioner: "x/y", answered: true, warning: "rpc error: code = DeadlineExceeded desc = context deadline exceeded"}, manifests.Progressing, "at work"},
		{"its class makes none", claimState{class: "fast", provisioner: "kubernetes.io/no-provisioner"}, manifests.Unhealthy, "makes no volumes"},
		{"its volume is lost", claimState{class: "fast", phase: "Lost"}, manifests.Unhealthy, "lost"},
		{"it is bound by now", claimState{class: "fast", phase: "Bound"}, manifests.Progressing, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.claim.name = "data-db-0"
			got := unboundHealth("db-0", []claimState{{name: "fine", phase: "Bound"}, test.claim})
			if got.Condition != test.want || !strings.Contains(got.Message, test.says) || got.Reason != claimUnbound || test.says == "" != (got.Message == "") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAWorkloadThatWasScaledUpIsJudgedByWhatItWasCompleteWith(t *testing.T) {
	const mine = `managedFields: [{manager: belay, operation: Apply, apiVersion: apps/v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:replicas": {}}}}]`
	const other = `managedFields: [{manager: belay, operation: Apply, apiVersion: apps/v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:template": {}}}}]`
	text := func(fields, wanted, available string) string {
		return `{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart, ` + fields + `}, spec: {replicas: ` + wanted + `}, status: {availableReplicas: ` + available + `}}`
	}
	for _, test := range []struct {
		name   string
		text   string
		before completion
		want   bool
	}{
		{"the added pods do not come", text(other, "5", "2"), completion{"new", 2}, true},
		{"one of those before is missing, too", text(other, "5", "1"), completion{"new", 2}, false},
		{"the number is Git's", text(mine, "5", "2"), completion{"new", 2}, false},
		{"it was complete with another template", text(other, "5", "2"), completion{"old", 2}, false},
		{"it was never complete", text(other, "5", "2"), completion{}, false},
		{"all are there", text(other, "5", "5"), completion{"new", 2}, false},
		{"it was scaled down", text(other, "1", "1"), completion{"new", 2}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, _ := workloadOf(live(t, test.text))
			got, is := w.scaledUp(test.before, "new")
			if is != test.want || is && (got.Condition != manifests.Healthy || got.Message == "") {
				t.Errorf("got %+v, %t", got, is)
			}
		})
	}
	t.Run("the smallest number that it was complete with counts", func(t *testing.T) {
		memory := newPodMemory()
		for _, replicas := range []int64{4, 2, 7} {
			memory.completed("w", completion{"new", replicas})
		}
		if got := memory.completion("w"); got.replicas != 2 {
			t.Errorf("got %+v", got)
		}
		memory.completed("w", completion{"newer", 9})
		if got := memory.completion("w"); got.replicas != 9 {
			t.Errorf("of another template: got %+v", got)
		}
	})
}

func TestTheWordsOfWhatIsWaitedFor(t *testing.T) {
	list := func(found ...finding) []finding { return found }
	soon := waitsFor("Unschedulable", "no node")
	soon.Again = 5 * time.Second
	sooner := waitsFor("", "starting")
	sooner.Again = time.Second
	for _, test := range []struct {
		name   string
		report manifests.Health
		found  []finding
		want   manifests.Health
	}{
		{"nothing was found", progressing("", "1 of 2"), nil, progressing("", "1 of 2")},
		{"one with a reason goes before", progressing("", "1 of 2"), list(waitsFor("", "a"), waitsFor("", "b"), waitsFor("X", "c"), waitsFor("Y", "d")), progressing("X", "1 of 2; c")},
		{"a report has its own reason", progressing("Own", "1 of 2"), list(waitsFor("X", "c")), progressing("Own", "1 of 2")},
		{"a healthy one needs no words", manifests.Health{Condition: manifests.Healthy}, list(waitsFor("X", "c")), manifests.Health{Condition: manifests.Healthy}},
		{"one that took too long does", manifests.Health{Condition: manifests.Unhealthy, Reason: "Failed", Message: "too long"}, list(waitsFor("X", "c")),
			manifests.Health{Condition: manifests.Unhealthy, Reason: "Failed", Message: "too long; c"}},
		{"the first that changes by itself counts", progressing("", ""), list(soon, sooner),
			manifests.Health{Condition: manifests.Progressing, Reason: "Unschedulable", Message: "no node", Again: time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := waitingFor(test.report, test.found); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// Before a pod that no node takes fails its release, what the watches do not tell is asked for.
func TestAPodThatNoNodeTakesIsLookedAtOnceMore(t *testing.T) {
	const withClaim = `{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: shop, uid: pod}, spec: {volumes: [
		{name: data, persistentVolumeClaim: {claimName: data-db-0}}, {name: conf, configMap: {name: conf}}]}}`
	const claim = `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data-db-0, namespace: shop, uid: claim}, spec: {storageClassName: fast}, status: {phase: Pending}}`
	const class = `{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}, provisioner: x/disks}`
	event := func(about, reason string) string {
		return `{apiVersion: v1, kind: Event, metadata: {name: e, namespace: shop}, involvedObject: {uid: ` + about + `}, reason: ` + reason + `}`
	}
	for _, test := range []struct {
		name    string
		unbound bool
		objects []string
		want    manifests.Condition
		says    string
	}{
		{"no room", false, []string{withClaim}, manifests.Unhealthy, "0/1 nodes"},
		{"a node is made for it", false, []string{withClaim, event("pod", "TriggeredScaleUp")}, manifests.Progressing, "a node is being made"},
		{"another thing happened to it", false, []string{withClaim, event("pod", "FailedScheduling")}, manifests.Unhealthy, "0/1 nodes"},
		{"its claim is missing", true, []string{withClaim}, manifests.Unhealthy, "PersistentVolumeClaim data-db-0: it does not exist"},
		{"its claim's class is missing", true, []string{withClaim, claim}, manifests.Unhealthy, "there is no StorageClass fast"},
		{"nobody makes its volume", true, []string{withClaim, claim, class}, manifests.Unhealthy, "its provisioner x/disks has not answered"},
		{"its volume is made", true, []string{withClaim, claim, class, event("claim", "Provisioning")}, manifests.Progressing, "x/disks is at work"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := reading(t, test.objects...)
			p := aPod("db-0", 0)
			p.Namespace, p.UID = "shop", "pod"
			memory := newPodMemory()
			memory.note(p, time.Unix(0, 0))
			found := fails("Unschedulable", "pod db-0: 0/1 nodes are available")
			found.pod, found.unbound = p, test.unbound
			got := look{Objects: &Objects{cluster: c}}.doubted(t.Context(), found, memory)
			if got.Condition != test.want || !strings.Contains(got.Message, test.says) {
				t.Errorf("got %+v", got.Health)
			}
		})
	}
}
