package health

import (
	"strings"
	"testing"

	"github.com/belay-gitops/belay/manifests"
)

// wanted verdicts, with their bearing behind a slash where it is not usual.
func check(t *testing.T, name, text, want, says string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Helper()
		got := Of(live(t, text), Rules{})
		word := string(got.Condition)
		if got.Bearing != manifests.Usual {
			word += "/" + string(got.Bearing)
		}
		if word != want || !strings.Contains(got.Reason+": "+got.Message, says) {
			t.Errorf("%s: got %s (%s: %s), want %s (%s)", text, word, got.Reason, got.Message, want, says)
		}
		if got.Condition == manifests.Unhealthy && got.Reason == "" {
			t.Error("it has failed, and has no reason")
		}
	})
}

func TestWorkloads(t *testing.T) {
	object := func(kind, spec, status string) string {
		return "{apiVersion: apps/v1, kind: " + kind + ", metadata: {name: cart, generation: 3}, spec: " + spec + ", status: " + status + "}"
	}
	const done = `{observedGeneration: 3, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2,
		conditions: [{type: Available, status: "True"}, {type: Progressing, status: "True", reason: NewReplicaSetAvailable}]}`
	for _, test := range []struct{ name, kind, spec, status, want, says string }{
		{"a Deployment that is done", "Deployment", "{replicas: 2}", done, "Healthy", ""},
		{"a Deployment whose pods may not be made", "Deployment", "{replicas: 2}",
			`{observedGeneration: 3, conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate, message: exceeded quota}]}`, "Progressing", "FailedCreate: exceeded quota"},
		{"a Deployment with a refused pod of before", "Deployment", "{replicas: 2}", strings.Replace(done, "conditions: [", `conditions: [{type: ReplicaFailure, status: "True"}, `, 1), "Healthy", ""},
		{"a Deployment that is paused and done", "Deployment", "{replicas: 2, paused: true}", done, "Suspended", "Paused"},
		{"a Deployment that is paused midway", "Deployment", "{replicas: 2, paused: true}", strings.Replace(done, "updatedReplicas: 2", "updatedReplicas: 1", 1), "Suspended/Patient", "1 of 2"},
		{"a Deployment that is paused with a pod down", "Deployment", "{replicas: 2, paused: true}", strings.Replace(done, "availableReplicas: 2", "availableReplicas: 1", 1), "Progressing", "1 of 2"},
		{"a Deployment that is paused, and nobody has seen it", "Deployment", "{replicas: 2, paused: true}", "{observedGeneration: 2}", "Progressing", "not seen"},
		{"a Deployment past its deadline", "Deployment", "{paused: true}", `{observedGeneration: 3, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded, message: late}]}`, "Failed", "ProgressDeadlineExceeded: late"},
		{"a Deployment that went back after its deadline", "Deployment", "{replicas: 2}", strings.Replace(done, `status: "True", reason: NewReplicaSetAvailable`, `status: "False", reason: ProgressDeadlineExceeded`, 1), "Progressing", "has not said"},
		{"a Deployment that was scaled to nothing after its deadline", "Deployment", "{replicas: 0}", `{observedGeneration: 3, conditions: [{type: Available, status: "True"}, {type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}`, "Progressing", "has not said"},
		{"a Deployment without pods", "Deployment", "{replicas: 0}", `{observedGeneration: 3, conditions: [{type: Available, status: "True"}]}`, "Healthy", ""},

		{"a StatefulSet nobody has seen", "StatefulSet", "{replicas: 2}", "{}", "Progressing", "not seen"},
		{"a StatefulSet that is done", "StatefulSet", "{replicas: 2}", "{observedGeneration: 3, replicas: 2, readyReplicas: 2, availableReplicas: 2, currentReplicas: 2, updatedReplicas: 2, currentRevision: a, updateRevision: a}", "Healthy", ""},
		{"a StatefulSet without its last pod", "StatefulSet", "{replicas: 2}", "{observedGeneration: 3, replicas: 1, readyReplicas: 1, currentRevision: a, updateRevision: a}", "Progressing", "1 of 2 pods are there"},
		{"a StatefulSet whose pods are not ready", "StatefulSet", "{replicas: 2}", "{observedGeneration: 3, replicas: 2, readyReplicas: 1, currentRevision: a, updateRevision: a}", "Progressing", "1 of 2 pods are ready"},
		{"a StatefulSet whose pods have not been ready for long", "StatefulSet", "{replicas: 2}", "{observedGeneration: 3, replicas: 2, readyReplicas: 2, availableReplicas: 1}", "Progressing", "available"},
		{"a StatefulSet with one too many", "StatefulSet", "{replicas: 2}", "{observedGeneration: 3, replicas: 3, readyReplicas: 3, currentRevision: a, updateRevision: a}", "Progressing", "3 pods are there"},
		{"a StatefulSet midway", "StatefulSet", "{replicas: 2}", "{observedGeneration: 3, replicas: 2, readyReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b}", "Progressing", "1 of 2 pods are of the newest"},
		{"a StatefulSet that went back midway, with pods of the refused template", "StatefulSet", "{replicas: 3}", "{observedGeneration: 3, replicas: 3, readyReplicas: 3, availableReplicas: 3, currentReplicas: 1, updatedReplicas: 1, currentRevision: a, updateRevision: a}", "Progressing", "1 of 3 pods are of the newest"},
		{"a StatefulSet that went back, with no pod of its template", "StatefulSet", "{replicas: 2}", "{observedGeneration: 3, replicas: 2, readyReplicas: 2, availableReplicas: 2, currentRevision: a, updateRevision: a}", "Progressing", "0 of 2 pods are of the newest"},
		{"a StatefulSet a moment before", "StatefulSet", "{replicas: 2}", "{observedGeneration: 3, replicas: 2, readyReplicas: 2, updatedReplicas: 2, currentRevision: a, updateRevision: b}", "Progressing", "not said"},
		{"a StatefulSet with a partition", "StatefulSet", "{replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}", "{observedGeneration: 3, replicas: 3, readyReplicas: 3, updatedReplicas: 1, currentRevision: a, updateRevision: b}", "Healthy", ""},
		{"a StatefulSet that is not down to its partition", "StatefulSet", "{replicas: 3, updateStrategy: {rollingUpdate: {partition: 1}}}", "{observedGeneration: 3, replicas: 3, readyReplicas: 3, updatedReplicas: 1, currentRevision: a, updateRevision: b}", "Progressing", "1 of 2"},
		{"a StatefulSet on delete", "StatefulSet", "{replicas: 2, updateStrategy: {type: OnDelete}}", "{observedGeneration: 3, replicas: 2, readyReplicas: 2, updatedReplicas: 0, currentRevision: a, updateRevision: b}", "Healthy", ""},
		{"a StatefulSet on delete whose pods are not ready", "StatefulSet", "{replicas: 2, updateStrategy: {type: OnDelete}}", "{observedGeneration: 3, replicas: 2, readyReplicas: 1}", "Progressing", "ready"},
		{"a StatefulSet without pods", "StatefulSet", "{replicas: 0}", "{observedGeneration: 3, replicas: 0}", "Healthy", ""},

		{"a DaemonSet nobody has seen", "DaemonSet", "{}", "{}", "Progressing", "not seen"},
		{"a DaemonSet that is done", "DaemonSet", "{}", "{observedGeneration: 3, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 2, numberAvailable: 2}", "Healthy", ""},
		{"a DaemonSet midway", "DaemonSet", "{}", "{observedGeneration: 3, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 1, numberReady: 2, numberAvailable: 2}", "Progressing", "1 of 2 pods are of the newest"},
		{"a DaemonSet on delete", "DaemonSet", "{updateStrategy: {type: OnDelete}}", "{observedGeneration: 3, desiredNumberScheduled: 2, currentNumberScheduled: 2, numberReady: 2, numberAvailable: 2}", "Healthy", ""},
		{"a DaemonSet with a pod down", "DaemonSet", "{}", "{observedGeneration: 3, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 1, numberAvailable: 1}", "Progressing", "1 of 2 pods are ready"},
		{"a DaemonSet without nodes", "DaemonSet", "{}", "{observedGeneration: 3, desiredNumberScheduled: 0, currentNumberScheduled: 0}", "Healthy", ""},
		{"a DaemonSet that has no count yet", "DaemonSet", "{}", "{observedGeneration: 3}", "Progressing", "how many"},

		{"a ReplicaSet that is done", "ReplicaSet", "{replicas: 2}", "{observedGeneration: 3, replicas: 2, readyReplicas: 2, availableReplicas: 2}", "Healthy", ""},
		{"a ReplicaSet whose pods may not be made", "ReplicaSet", "{replicas: 2}", `{observedGeneration: 3, conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate, message: forbidden}]}`, "Progressing", "FailedCreate: forbidden"},
	} {
		check(t, test.name, object(test.kind, test.spec, test.status), test.want, test.says)
	}
}

func TestReplicationControllers(t *testing.T) {
	const text = `{apiVersion: v1, kind: ReplicationController, metadata: {name: cart, generation: 3}, spec: {replicas: 2, selector: {app: cart}}, status: `
	for _, test := range []struct{ name, text, want, says string }{
		{"all of them", text + "{observedGeneration: 3, replicas: 2, readyReplicas: 2, availableReplicas: 2}}", "Healthy", ""},
		{"before the change was seen", text + "{observedGeneration: 2, replicas: 2, availableReplicas: 2}}", "Progressing", "not seen"},
		{"one is missing", text + "{observedGeneration: 3, replicas: 1, availableReplicas: 1}}", "Progressing", "1 of 2 pods are there"},
		{"one too many", text + "{observedGeneration: 3, replicas: 3, availableReplicas: 3}}", "Progressing", "3 pods are there, and 2"},
		{"one is not available", text + "{observedGeneration: 3, replicas: 2, readyReplicas: 2, availableReplicas: 1}}", "Progressing", "1 of 2 pods are available"},
		{"nothing is known", text + "{}}", "Progressing", "not seen"},
		{"one is wanted where nothing is said", `{apiVersion: v1, kind: ReplicationController, metadata: {name: a}, spec: {selector: {a: b}}, status: {replicas: 1, availableReplicas: 1}}`, "Healthy", ""},
		{"none is wanted where zero is said", `{apiVersion: v1, kind: ReplicationController, metadata: {name: a}, spec: {replicas: 0, selector: {a: b}}, status: {replicas: 0}}`, "Healthy", ""},
	} {
		check(t, test.name, test.text, test.want, test.says)
	}
}

func TestPods(t *testing.T) {
	const ready = `conditions: [{type: Ready, status: "True"}]`
	for _, test := range []struct{ name, spec, status, want, says string }{
		{"ready", "{}", "{phase: Running, " + ready + "}", "Healthy", ""},
		{"done", "{}", "{phase: Succeeded}", "Healthy", ""},
		{"failed", "{}", "{phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 3}}}]}", "Failed", "PodFailed: container a: exit code 3"},
		{"failed by its deadline", "{}", "{phase: Failed, reason: DeadlineExceeded, message: too long}", "Failed", "DeadlineExceeded: too long"},
		{"evicted", "{}", "{phase: Failed, reason: Evicted, message: low on memory}", "Progressing", "Evicted: low on memory"},
		{"lost with its node", "{}", "{phase: Failed, reason: NodeLost}", "Progressing", "NodeLost"},
		{"shut down with its node", "{}", "{phase: Failed, reason: Terminated}", "Progressing", "Terminated"},
		{"disrupted", "{}", `{phase: Failed, conditions: [{type: DisruptionTarget, status: "True", reason: PreemptionByScheduler, message: another came}]}`, "Progressing", "PreemptionByScheduler: another came"},
		{"no such image", "{}", "{phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ImagePullBackOff, message: no such image}}}]}", "Failed", "ImagePullBackOff: container a: no such image"},
		{"the first pull fails", "{}", "{phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ErrImagePull}}}]}", "Progressing", ""},
		{"no such Secret", "{}", "{phase: Pending, initContainerStatuses: [{name: a, state: {waiting: {reason: CreateContainerConfigError}}}]}", "Failed", "CreateContainerConfigError"},
		{"crashed once", "{}", `{phase: Running, containerStatuses: [{name: a, restartCount: 0, state: {terminated: {exitCode: 1}}}]}`, "Progressing", ""},
		{"crashed twice", "{}", `{phase: Running, containerStatuses: [{name: a, restartCount: 1, state: {terminated: {exitCode: 1}}, lastState: {terminated: {exitCode: 2}}}]}`, "Failed", "CrashLoopBackOff: container a: exit code 2, restarts: 1"},
		{"ended well, and is restarted", "{}", `{phase: Running, containerStatuses: [{name: a, restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 0}}}]}`, "Progressing", ""},
		{"ended well too often", "{}", `{phase: Running, containerStatuses: [{name: a, restartCount: 2, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 0}}}]}`, "Failed", "CrashLoopBackOff"},
		{"failed, and is not restarted", "{restartPolicy: Never}", `{phase: Running, containerStatuses: [{name: a, state: {terminated: {exitCode: 1}}}]}`, "Failed", "exit code 1"},
		{"is to end", "{restartPolicy: Never}", "{phase: Running, " + ready + "}", "Progressing/None", "not done"},
		{"has no node", "{}", `{phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: no room}]}`, "Progressing", "Unschedulable: no room"},
		{"starts", "{}", `{phase: Pending, conditions: [{type: Ready, status: "False", reason: ContainersNotReady}]}`, "Progressing", "ContainersNotReady"},
		{"nothing is known", "{}", "{}", "Progressing", "not ready"},
	} {
		check(t, test.name, "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: "+test.spec+", status: "+test.status+"}", test.want, test.says)
	}
}

func TestJobs(t *testing.T) {
	condition := func(name string) string {
		return `{startTime: x, conditions: [{type: ` + name + `, status: "True", reason: R, message: M}]}`
	}
	for _, test := range []struct{ name, text, want, says string }{
		{"not started", "kind: Job, status: {}", "Progressing", "not started"},
		{"running", "kind: Job, status: {startTime: x, active: 1, failed: 2}", "Progressing", "0 pods have succeeded, and 2 have failed"},
		{"failed", "kind: Job, status: " + condition("Failed"), "Failed", "R: M"},
		{"about to fail", "kind: Job, status: " + condition("FailureTarget"), "Failed", "R: M"},
		{"complete", "kind: Job, status: " + condition("Complete"), "Healthy", ""},
		{"about to be complete", "kind: Job, status: " + condition("SuccessCriteriaMet"), "Healthy", ""},
		{"suspended", "kind: Job, spec: {suspend: true}, status: " + condition("Suspended"), "Suspended", "spec.suspend"},
		{"to be suspended", "kind: Job, spec: {suspend: true}, status: {active: 1}", "Progressing", "to be suspended"},
		{"complete, and suspended then", "kind: Job, spec: {suspend: true}, status: " + condition("Complete"), "Healthy", ""},
		{"by the clock", "kind: CronJob", "Healthy", ""},
		{"by a clock that stands still", "kind: CronJob, spec: {suspend: true}", "Suspended", "spec.suspend"},
	} {
		check(t, test.name, "{apiVersion: batch/v1, metadata: {name: a}, "+test.text+"}", test.want, test.says)
	}
}

func TestTheOtherKindsOfKubernetes(t *testing.T) {
	const scaled = `[{"type":"AbleToScale","status":"True"},{"type":"ScalingActive","status":"%"}]`
	for _, test := range []struct{ name, text, want, says string }{
		{"a claim", "apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Bound}", "Healthy", ""},
		{"a claim whose volume is gone", "apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Lost}", "Failed", "ClaimLost"},
		{"a claim that nobody mounts", "apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Pending}", "Progressing/None", "Unbound"},
		{"a claim for which a volume is made", "apiVersion: v1, kind: PersistentVolumeClaim, metadata: {annotations: {volume.kubernetes.io/storage-provisioner: x}}, status: {phase: Pending}", "Progressing", "Unbound"},
		{"a claim of a volume by name", "apiVersion: v1, kind: PersistentVolumeClaim, spec: {volumeName: x}, status: {phase: Pending}", "Progressing", "Unbound"},
		{"a volume", "apiVersion: v1, kind: PersistentVolume, status: {phase: Available}", "Healthy", ""},
		{"a volume that is not there yet", "apiVersion: v1, kind: PersistentVolume, status: {}", "Progressing", "not available"},
		{"a volume that cannot be reclaimed", "apiVersion: v1, kind: PersistentVolume, status: {phase: Failed, message: no deleter}", "Failed", "VolumeFailed: no deleter"},
		{"a Service", "apiVersion: v1, kind: Service, spec: {type: ClusterIP}", "Healthy", ""},
		{"a Service without an address", "apiVersion: v1, kind: Service, spec: {type: LoadBalancer}, status: {loadBalancer: {}}", "Progressing/None", "NoAddress"},
		{"a Service with an address", "apiVersion: v1, kind: Service, spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 10.0.0.1}]}}", "Healthy", ""},
		{"an Ingress without an address", "apiVersion: networking.k8s.io/v1, kind: Ingress, status: {}", "Progressing/None", "NoAddress"},
		{"an Ingress with an address", "apiVersion: networking.k8s.io/v1, kind: Ingress, status: {loadBalancer: {ingress: [{hostname: a}]}}", "Healthy", ""},
		{"an autoscaler nobody has seen", "apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler", "Progressing/None", "not looked"},
		{"an autoscaler of v1", "apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '" + strings.Replace(scaled, "%", "True", 1) + "'}}", "Healthy/None", ""},
		{"an autoscaler of v1 without metrics", "apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '" + strings.Replace(scaled, "%", "False", 1) + "'}}", "Failed/None", "ScalingActive"},
		{"an autoscaler with a broken annotation", "apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '['}}", "Progressing/None", "not looked"},
		{"an autoscaler without metrics", `apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {conditions: [{type: ScalingActive, status: "False", reason: FailedGetResourceMetric, message: no metrics}]}`, "Failed/None", "FailedGetResourceMetric: no metrics"},
		{"an autoscaler of nothing", `apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {conditions: [{type: ScalingActive, status: "False", reason: ScalingDisabled}]}`, "Suspended/None", ""},
		{"a budget", `apiVersion: policy/v1, kind: PodDisruptionBudget, status: {observedGeneration: 1, currentHealthy: 1, desiredHealthy: 1, conditions: [{type: DisruptionAllowed, status: "False", reason: InsufficientPods}]}`, "Healthy", ""},
		{"a budget that is overdrawn", `apiVersion: policy/v1, kind: PodDisruptionBudget, status: {observedGeneration: 1, currentHealthy: 1, desiredHealthy: 2}`, "Progressing/None", "InsufficientPods"},
		{"a budget that is not counted", `apiVersion: policy/v1, kind: PodDisruptionBudget, status: {conditions: [{type: DisruptionAllowed, status: "False", reason: SyncFailed, message: no scale}]}`, "Failed/None", "SyncFailed: no scale"},
		{"a budget of before", `apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {generation: 2}, status: {observedGeneration: 1}`, "Progressing/None", "not seen"},
		{"a CRD that is established", `apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, status: {conditions: [{type: NamesAccepted, status: "True"}, {type: Established, status: "True"}]}`, "Healthy", ""},
		{"a CRD that is not yet", `apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, status: {conditions: [{type: Established, status: "False", reason: Installing}]}`, "Progressing", "Installing"},
		{"a CRD nobody has seen", `apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition`, "Progressing", "Installing"},
		{"a CRD of a name that is taken", `apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, status: {conditions: [{type: NamesAccepted, status: "False", reason: ListKindConflict, message: taken}]}`, "Failed", "ListKindConflict: taken"},
		{"a CRD that goes", `apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, status: {conditions: [{type: Established, status: "True"}, {type: Terminating, status: "True"}]}`, "Progressing", "Terminating"},
		{"an API that answers", `apiVersion: apiregistration.k8s.io/v1, kind: APIService, status: {conditions: [{type: Available, status: "True", reason: Passed}]}`, "Healthy", ""},
		{"an API without a server", `apiVersion: apiregistration.k8s.io/v1, kind: APIService, status: {conditions: [{type: Available, status: "False", reason: MissingEndpoints, message: none}]}`, "Progressing", "MissingEndpoints: none"},
		{"an API nobody has asked", `apiVersion: apiregistration.k8s.io/v1, kind: APIService`, "Progressing", "nobody has asked"},
		{"a Namespace", "apiVersion: v1, kind: Namespace, status: {phase: Active}", "Healthy", ""},
		{"a Namespace that goes", "apiVersion: v1, kind: Namespace, status: {phase: Terminating}", "Progressing", "Terminating"},
		{"a Secret whose data looks like a status", "apiVersion: v1, kind: Secret, spec: {suspend: true}, status: {phase: Failed}", "Healthy", ""},
	} {
		check(t, test.name, "{"+test.text+"}", test.want, test.says)
	}
}
