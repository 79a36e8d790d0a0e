package cluster

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/health"
)

func waiting(reason string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "c", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "because"},
	}}
}

func ended(code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error"}}
}

// failedAfter is a failure after some time.
func failedAfter(time time.Duration) corev1.ContainerState {
	state, began := ended(1), metav1.Unix(1000, 0)
	state.Terminated.StartedAt, state.Terminated.FinishedAt = began, metav1.NewTime(began.Add(time))
	return state
}

func running() corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "c", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

// after is a container that was restarted so often, and before that ended so.
func after(c corev1.ContainerStatus, restarts int32, last corev1.ContainerState) corev1.ContainerStatus {
	c.RestartCount, c.LastTerminationState = restarts, last
	return c
}

func TestPodHealth(t *testing.T) {
	const healthy, progressing, failed = manifests.Healthy, manifests.Progressing, manifests.Unhealthy
	condition := func(kind corev1.PodConditionType, is corev1.ConditionStatus) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: is, Reason: "Unschedulable", Message: "no node fits"}
	}
	isReady := []corev1.PodCondition{condition(corev1.PodScheduled, corev1.ConditionTrue), condition(corev1.PodReady, corev1.ConditionTrue)}
	notReady := []corev1.PodCondition{condition(corev1.PodScheduled, corev1.ConditionTrue), condition(corev1.PodReady, corev1.ConditionFalse)}
	containers := func(list ...corev1.ContainerStatus) []corev1.ContainerStatus { return list }
	for _, test := range []struct {
		name   string
		status corev1.PodStatus
		want   manifests.Condition
		reason string
		says   string
	}{
		{"one that is ready", corev1.PodStatus{Conditions: isReady, ContainerStatuses: containers(running())}, healthy, "", ""},
		{"one that has done its work", corev1.PodStatus{Phase: corev1.PodSucceeded, Conditions: notReady}, healthy, "", ""},
		{"one that runs and is not ready", corev1.PodStatus{Conditions: notReady, ContainerStatuses: containers(running())}, progressing, "", "is not ready"},
		{"one of which nothing is known", corev1.PodStatus{}, progressing, "", "is not ready"},
		{"one that was evicted", corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}, progressing, "", "is not ready"},
		{"one that no node takes", corev1.PodStatus{Conditions: []corev1.PodCondition{condition(corev1.PodScheduled, corev1.ConditionFalse)}},
			progressing, "Unschedulable", "no node fits"},
		{"one that is created", corev1.PodStatus{Conditions: notReady, ContainerStatuses: containers(waiting("ContainerCreating"))}, progressing, "", "is starting"},
		{"one whose first pull failed", corev1.PodStatus{ContainerStatuses: containers(waiting("ErrImagePull"))}, progressing, "ErrImagePull", "because"},
		{"one whose pull is given up", corev1.PodStatus{ContainerStatuses: containers(waiting("ImagePullBackOff"))}, failed, "ImagePullBackOff", "because"},
		{"one whose image has no name", corev1.PodStatus{ContainerStatuses: containers(waiting("InvalidImageName"))}, failed, "InvalidImageName", "because"},
		{"one whose ConfigMap is missing", corev1.PodStatus{ContainerStatuses: containers(waiting("CreateContainerConfigError"))}, failed, "CreateContainerConfigError", "because"},
		{"one that cannot be started", corev1.PodStatus{ContainerStatuses: containers(waiting("RunContainerError"))}, failed, "RunContainerError", "because"},
		{"one of whose containers cannot be pulled, though it was ready", corev1.PodStatus{Conditions: isReady, ContainerStatuses: containers(running(), waiting("ImagePullBackOff"))},
			failed, "ImagePullBackOff", "because"},
		{"one whose init container cannot be pulled", corev1.PodStatus{
			InitContainerStatuses: containers(waiting("ImagePullBackOff")), ContainerStatuses: containers(waiting("PodInitializing")),
		}, failed, "ImagePullBackOff", "because"},
		{"one that waits with a reason of its own", corev1.PodStatus{ContainerStatuses: containers(waiting("Novelty"))}, progressing, "Novelty", "because"},
		{"one that keeps crashing", corev1.PodStatus{ContainerStatuses: containers(after(waiting("CrashLoopBackOff"), 3, ended(1)))},
			failed, "CrashLoopBackOff", "exit code 1"},
		{"one that crashed once and is waited for", corev1.PodStatus{ContainerStatuses: containers(after(waiting("CrashLoopBackOff"), 1, ended(1)))},
			failed, "CrashLoopBackOff", "exit code 1"},
		{"one that ended well once and is waited for", corev1.PodStatus{ContainerStatuses: containers(after(waiting("CrashLoopBackOff"), 1, ended(0)))},
			progressing, "CrashLoopBackOff", ""},
		{"one that keeps ending well although it should not", corev1.PodStatus{ContainerStatuses: containers(after(waiting("CrashLoopBackOff"), 2, ended(0)))},
			failed, "CrashLoopBackOff", "exit code 0"},
		{"one that crashed long ago and is ready", corev1.PodStatus{Conditions: isReady, ContainerStatuses: containers(after(running(), 7, ended(1)))}, healthy, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &corev1.Pod{Status: test.status}
			p.Name = "cart-1"
			got := podHealth(sight{pod: p})
			if got.Condition != test.want || got.Reason != test.reason || !strings.Contains(got.Message, test.says) {
				t.Errorf("got %+v, want %s %s %q", got, test.want, test.reason, test.says)
			}
			if got.Condition != healthy && !strings.HasPrefix(got.Message, "pod cart-1") {
				t.Errorf("the message %q does not name the pod", got.Message)
			}
		})
	}
}

// A Pod by itself fails for the same reasons as one behind a workload, and its command is told without secrets.
func TestAPodByItselfIsJudgedLikeThoseBehindWorkloads(t *testing.T) {
	for _, test := range []struct {
		name, status string
		want         manifests.Condition
		says         string
	}{
		{"a registry that limits", `{phase: Pending, containerStatuses: [{name: c, image: x, imageID: "", state: {waiting: {reason: ImagePullBackOff, message: "429 Too Many Requests"}}}]}`, manifests.Progressing, "429"},
		{"no such image", `{phase: Pending, containerStatuses: [{name: c, image: x, state: {waiting: {reason: ImagePullBackOff, message: "no such image"}}}]}`, manifests.Unhealthy, "no such image"},
		{"a command that holds a secret", `{phase: Pending, containerStatuses: [{name: c, image: x, state: {waiting: {reason: CreateContainerError, message: "run hunter2: not found"}}}]}`, manifests.Unhealthy, "run ***: not found"},
		{"a crash an hour after another", `{phase: Running, containerStatuses: [{name: c, image: x, restartCount: 1, state: {terminated: {exitCode: 3, startedAt: "2026-01-01T00:00:00Z", finishedAt: "2026-01-01T01:00:00Z"}}, lastState: {terminated: {exitCode: 3}}}]}`, manifests.Progressing, "is not ready"},
		{"one that is not restarted", `{phase: Running, containerStatuses: [{name: c, image: x, state: {terminated: {exitCode: 3}}}]}`, manifests.Unhealthy, "exit code 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := crashingPod
			if test.name == "one that is not restarted" {
				text = strings.Replace(text, "containers: [", "restartPolicy: Never, containers: [", 1)
			}
			u := live(t, strings.TrimSuffix(text, "}")+", status: "+test.status+"}")
			c, _ := reading(t, crashingPod, dbSecret)
			p := &corev1.Pod{}
			if err := fromMap(u.Object, p); err != nil {
				t.Fatal(err)
			}
			w, _ := workloadOf(u)
			at := look{Objects: &Objects{cluster: c}, closely: true}
			got := at.behind(t.Context(), w, podsOf{pods: []*corev1.Pod{p}, memory: newPodMemory()}, health.Of(u, health.Rules{}))
			if got.Condition != test.want || !strings.Contains(got.Message, test.says) || strings.Contains(got.Message, "hunter2") {
				t.Errorf("got %+v", got)
			}
			if atRest := health.Of(u, health.Rules{}); strings.Contains(atRest.Message, "hunter2") {
				t.Errorf("at rest: got %+v", atRest)
			}
		})
	}
}

func TestACommandIsNotToldWhileItIsWaitedFor(t *testing.T) {
	c := saying("CreateContainerError", `exec "run hunter2": context deadline exceeded`)
	for _, s := range []sight{{}, {revision: revisionNote{started: map[string]bool{"c": true}}}} {
		s.pod = &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{c}}}
		s.pod.Name = "cart-1"
		want := "pod cart-1, container c: context deadline exceeded"
		if got := podHealth(s); got.Condition != manifests.Progressing || got.Message != want {
			t.Errorf("got %+v", got.Health)
		}
	}
}

func TestAContainerCrashesWhenItFailsAgainAndAgain(t *testing.T) {
	failing := corev1.ContainerStatus{Name: "c", State: ended(1)}
	for _, test := range []struct {
		name string
		c    corev1.ContainerStatus
		want bool
	}{
		{"not while it runs", after(running(), 9, ended(1)), false},
		{"not at its first failure", failing, false},
		{"not when it failed after it had ended well", after(failing, 1, ended(0)), false},
		{"not when it ended well after it had failed", after(corev1.ContainerStatus{State: ended(0)}, 1, ended(1)), false},
		{"when it failed twice in a row", after(failing, 1, ended(137)), true},
		{"not when the failure before is an hour ago", after(corev1.ContainerStatus{Name: "c", State: failedAfter(time.Hour)}, 1, ended(1)), false},
		{"when it failed after a minute", after(corev1.ContainerStatus{Name: "c", State: failedAfter(time.Minute)}, 1, ended(1)), true},
		{"not when it waits for the first restart", waiting("CrashLoopBackOff"), false},
		{"when it waits after a failure", after(waiting("CrashLoopBackOff"), 1, ended(1)), true},
		{"not when it waits for something else", after(waiting("ContainerCreating"), 5, ended(1)), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := crashes(test.c); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
