package e2e

import (
	"fmt"
	"slices"
)

// realSicknesses are those of containers that run, or should. Their flags are those of testdata/drill/app.
// Those that take long come first, so that the others are played beside them.
var realSicknesses = slices.Concat(unready, startless, crashing, ofOtherKinds)

// slowly is for what only the deadline finds: the node may be busy with other cases' good releases, which it holds for, too.
const slowly = "{timeout: 40s, stableFor: 2s}"

// untilItEnds is for Pods that are ready, for want of a probe, until they end: that has to be seen while the release is judged.
const untilItEnds = "{timeout: 4m, stableFor: 10s}"

// crashing are containers that start and end.
var crashing = []sickness{
	{
		name: "crash-at-start", reason: "CrashLoopBackOff", message: `pod web-.*, container web: exit code 3(.|\n)*this release is broken`,
		change: container("args: [-exit=3]"),
	},
	{
		name: "crash-after-a-while", reason: "CrashLoopBackOff", message: "container web: exit code 1",
		change: container("args: [-exit=1, -after=4s]"), health: "{timeout: 4m, stableFor: 10s}",
	},
	{
		name: "exit-with-zero", reason: "CrashLoopBackOff", message: "container web: exit code 0",
		change: container("args: [-exit=0]"),
	},
	{
		name: "out-of-memory", reason: "OOMKilled", message: "container web",
		change: container("args: [-leak], resources: {limits: {memory: 48Mi}}"),
	},
	{
		name: "setting-broken", reason: "CrashLoopBackOff", message: `no setting is called .*broken`,
		change: container("args: [-config=/etc/app/greeting], volumeMounts: [{name: settings, mountPath: /etc/app}]") + `
---
` + web("template: {spec: {volumes: [{name: settings, configMap: {name: settings}}]}}") + `
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {greeting: broken}}`,
	},
	{
		name: "read-only-file-system", reason: "CrashLoopBackOff", message: "read-only file system",
		change: container("args: [-write=/tmp/cache], securityContext: {readOnlyRootFilesystem: true}"),
	},
	{
		// Which of the two loses the port, and whether its last words are read before it is started again, is a race.
		name: "second-container", reason: "CrashLoopBackOff", message: "container (metrics|web): exit code 1",
		change: web("template: {spec: {containers: [{name: web}, {name: metrics, image: $IMAGE}]}}"),
	},
	{
		name: "init-container", reason: "CrashLoopBackOff", message: "container prepare: exit code 2",
		change: web("template: {spec: {initContainers: [{name: prepare, image: $IMAGE, args: [-exit=2]}]}}"),
	},
	{
		name: "sidecar", reason: "CrashLoopBackOff", message: "container proxy: exit code 1",
		change: web("template: {spec: {initContainers: [{name: proxy, image: $IMAGE, args: [-exit=1], restartPolicy: Always}]}}"),
	},
	{
		name: "liveness-probe", reason: "CrashLoopBackOff", message: "container web",
		change: container("args: [-dead], livenessProbe: {httpGet: {path: /live, port: 8080}, periodSeconds: 1, failureThreshold: 1}, " +
			"readinessProbe: {httpGet: {path: /never, port: 8080}}"),
	},
	{
		name: "startup-probe", reason: "CrashLoopBackOff", message: "container web",
		change: container("args: [-slow=1h], startupProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1, failureThreshold: 2}"),
	},
	{
		name: "post-start-hook", reason: "CrashLoopBackOff|PostStartHookError", message: "container web",
		change: container("lifecycle: {postStart: {exec: {command: [/app, -exit=1]}}}"),
	},
	{
		name: "one-of-three", reason: "CrashLoopBackOff", message: "Deployment/drill-one-of-three/cart: CrashLoopBackOff: pod cart-",
		added: workload("apps/v1", "Deployment", "cart", "", "args: [-exit=1]") + workload("apps/v1", "Deployment", "mail", "", ""),
	},
	{
		name: "turns-bad-when-kept", reason: "CrashLoopBackOff", message: "container web: exit code 1",
		change: container("args: [-exit=1, -after=12s]"), health: "{timeout: 4m, stableFor: 2s, watchFor: 4m}",
	},
}

// startless are containers that never start.
var startless = []sickness{
	{
		name: "layer-missing", reason: "ImagePullBackOff|ErrImagePull", message: "pod web-.*, container web: .*drill",
		change: container("image: $REGISTRY/drill:hollow"),
	},
	{
		name: "image-name-invalid", reason: "InvalidImageName", message: "pod web-.*, container web: .*Web:1",
		change: container(`image: "$REGISTRY/Web:1"`), spec: `  images: {exclude: ["*/Web:1"]}`,
	},
	{
		name: "image-never-pulled", reason: "ErrImageNeverPull", message: "container web",
		change: container("image: $REGISTRY/drill:other, imagePullPolicy: Never"),
	},
	{
		// runc starts it, and tells in the container's log that it cannot.
		name: "image-is-no-program", reason: "CrashLoopBackOff|RunContainerError|StartError", message: "container web: .*exec format error",
		change: container("image: $REGISTRY/drill:text"),
	},
	{
		name: "command-not-there", reason: "RunContainerError|StartError", message: "container web: .*/nowhere",
		change: container("command: [/nowhere]"),
	},
	{
		name: "mounted-over-a-file", reason: "RunContainerError|StartError|CreateContainerError", message: "container web: .*not a directory",
		change: container("volumeMounts: [{name: settings, mountPath: /app}]") + "\n---\n" +
			web("template: {spec: {volumes: [{name: settings, configMap: {name: settings}}]}}"),
	},
	{
		name: "config-map-key-missing", reason: "CreateContainerConfigError", message: "container web: .*greeting",
		change: "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {greeting: null, welcome: hello}}",
	},
	{
		name: "secret-missing", reason: "CreateContainerConfigError", message: `container web: secret "password" not found`,
		change: container("env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: password, key: password}}}]"),
	},
	{
		name: "root-forbidden", reason: "CreateContainerConfigError", message: "container web: .*non-root",
		change: container("securityContext: {runAsUser: 0, runAsNonRoot: true}"),
	},
	{
		name: "seccomp-profile-missing", reason: "CreateContainerError|CreateContainerConfigError|RunContainerError", message: "container web: .*seccomp",
		change: container("securityContext: {seccompProfile: {type: Localhost, localhostProfile: nowhere.json}}"),
	},
	{
		name: "config-map-volume-missing", reason: "FailedMount", message: `configmap "nowhere" not found`,
		change: web("template: {spec: {volumes: [{name: settings, configMap: {name: nowhere}}]}}") + "\n---\n" +
			container("volumeMounts: [{name: settings, mountPath: /etc/app}]"),
	},
	{
		name: "secret-volume-missing", reason: "FailedMount", message: `secret "nowhere" not found`,
		change: web("template: {spec: {volumes: [{name: keys, secret: {secretName: nowhere}}]}}") + "\n---\n" +
			container("volumeMounts: [{name: keys, mountPath: /etc/app}]"),
	},
	{
		// Somebody may make that folder later: the deadline finds it.
		name: "host-path-missing", reason: "TimedOut", message: "not healthy within 40s: .*FailedMount.*/nowhere is not a directory", health: slowly,
		change: web("template: {spec: {volumes: [{name: data, hostPath: {path: /nowhere, type: Directory}}]}}") + "\n---\n" +
			container("volumeMounts: [{name: data, mountPath: /data}]"),
	},
	{
		// The new pod would run beside the old one, which has the port.
		name: "port-taken", reason: "Unschedulable", message: "pod proxy-.*free ports",
		good: workload("apps/v1", "Deployment", "proxy", "", "ports: [{containerPort: 8080, hostPort: 18080}]"),
	},
}

// unready are containers that run, and are never ready.
var unready = []sickness{
	{
		name: "readiness-probe", reason: "TimedOut", message: "not healthy within 40s: .*pod web-.*",
		change: container("readinessProbe: {httpGet: {path: /never, port: 8080}}"), health: slowly,
	},
	{
		name: "listens-too-late", reason: "TimedOut", message: "not healthy within 40s: .*pod web-.*",
		change: container("args: [-slow=1h]"), health: slowly,
	},
	{
		name: "readiness-gate", reason: "TimedOut", message: "not healthy within 40s: .*pod web-.*",
		change: web("template: {spec: {readinessGates: [{conditionType: example.com/never}]}}"), health: slowly,
	},
	{
		name: "flapping", reason: "Flapping", message: "web",
		change: container("args: [-flap=3s], readinessProbe: {failureThreshold: 1}"), health: "{timeout: 40s, stableFor: 8s}",
	},
	{
		name: "init-container-does-not-end", reason: "TimedOut", message: "not healthy within 40s: .*container prepare",
		change: web("template: {spec: {initContainers: [{name: prepare, image: $IMAGE, args: [-hang]}]}}"), health: slowly,
	},
	{
		name: "no-progress", reason: "ProgressDeadlineExceeded", message: "Deployment/drill-no-progress/web",
		change: container("args: [-slow=1h]") + "\n---\n" + web("progressDeadlineSeconds: 8"),
	},
}

// ofOtherKinds are those of other workloads than Deployments.
var ofOtherKinds = []sickness{
	{
		name: "stateful-set", reason: "CrashLoopBackOff", message: "StatefulSet/.*/db: .*pod db-1, container main: exit code 1",
		good:   workload("apps/v1", "StatefulSet", "db", "replicas: 2, serviceName: db, ", ""),
		change: mainContainer("apps/v1", "StatefulSet", "db", "args: [-exit=1]"),
	},
	{
		name: "daemon-set", reason: "CrashLoopBackOff", message: "DaemonSet/.*/agent: .*container main: exit code 1",
		good:   workload("apps/v1", "DaemonSet", "agent", "", ""),
		change: mainContainer("apps/v1", "DaemonSet", "agent", "args: [-exit=1]"),
	},
	{
		name: "replica-set", reason: "CrashLoopBackOff", message: "ReplicaSet/.*/bare: .*container main: exit code 1",
		added: workload("apps/v1", "ReplicaSet", "bare", "", "args: [-exit=1]"),
	},
	{
		name: "replication-controller", reason: "CrashLoopBackOff", message: "ReplicationController/.*/old: .*container main: exit code 1",
		good:   workload("v1", "ReplicationController", "old", "", ""),
		change: mainContainer("v1", "ReplicationController", "old", "args: [-exit=1]"),
	},
	{
		name: "pod", reason: "Error|PodFailed", message: "Pod/.*/once: .*exit code 4", health: untilItEnds,
		added: "---\n{apiVersion: v1, kind: Pod, metadata: {name: once}, spec: {restartPolicy: Never, " +
			"containers: [{name: main, image: $IMAGE, args: [-exit=4]}]}}\n",
	},
	{
		name: "pod-crashes", reason: "CrashLoopBackOff", message: "Pod/.*/alone: .*container main: exit code 5", health: untilItEnds,
		added: "---\n{apiVersion: v1, kind: Pod, metadata: {name: alone}, spec: {containers: [{name: main, image: $IMAGE, args: [-exit=5]}]}}\n",
	},
	{
		name: "pod-rejected", reason: "SysctlForbidden", message: "Pod/.*/tuned: ",
		added: "---\n{apiVersion: v1, kind: Pod, metadata: {name: tuned}, spec: {securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}, " +
			"containers: [{name: main, image: $IMAGE}]}}\n",
	},
	{
		name: "pod-deadline", reason: "DeadlineExceeded", message: "Pod/.*/brief: ", health: untilItEnds,
		added: "---\n{apiVersion: v1, kind: Pod, metadata: {name: brief}, spec: {activeDeadlineSeconds: 4, restartPolicy: Never, " +
			"containers: [{name: main, image: $IMAGE, args: [-hang]}]}}\n",
	},
	{
		name: "job", reason: "BackoffLimitExceeded", message: "Job/.*/migrate: ",
		added: jobOf("migrate", "", "backoffLimit: 0, ", "args: [-exit=1]"),
	},
	{
		name: "job-deadline", reason: "DeadlineExceeded", message: "Job/.*/migrate: ",
		added: jobOf("migrate", "", "activeDeadlineSeconds: 4, ", "args: [-hang]"),
	},
	{
		name: "hook-before", reason: "HookFailed", message: "Job/.*/migrate",
		change: container("env: [{name: SCHEMA, value: '2'}]"),
		added:  jobOf("migrate", "belay.dev/hook: before", "backoffLimit: 0, ", "args: [-exit=1]"),
	},
	{
		name: "hook-after", reason: "HookFailed", message: "Job/.*/smoke",
		change: container("env: [{name: SCHEMA, value: '2'}]"),
		added:  jobOf("smoke", "belay.dev/hook: after", "backoffLimit: 0, ", "args: [-exit=1]"),
	},
}

// workload is an object with a pod template, whose pods have one container, main.
func workload(apiVersion, kind, name, spec, fields string) string {
	labels := "{app: " + name + "}"
	selector := "{matchLabels: " + labels + "}"
	if kind == "ReplicationController" {
		selector = labels
	}
	return fmt.Sprintf("---\n{apiVersion: %s, kind: %s, metadata: {name: %s}, spec: {%sselector: %s, template: {metadata: {labels: %s}, "+
		"spec: {terminationGracePeriodSeconds: 1, containers: [{name: main, image: $IMAGE, "+
		"readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}, %s}]}}}}\n", apiVersion, kind, name, spec, selector, labels, fields)
}

// mainContainer is a patch of a workload's only container.
func mainContainer(apiVersion, kind, name, fields string) string {
	return fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {name: %s}, spec: {template: {spec: {containers: [{name: main, %s}]}}}}", apiVersion, kind, name, fields)
}

// jobOf is a Job with annotations, whose pods have one container.
func jobOf(name, annotations, spec, fields string) string {
	return fmt.Sprintf("---\n{apiVersion: batch/v1, kind: Job, metadata: {name: %s, annotations: {%s}}, spec: {%stemplate: {spec: {"+
		"restartPolicy: Never, terminationGracePeriodSeconds: 1, containers: [{name: main, image: $IMAGE, %s}]}}}}\n", name, annotations, spec, fields)
}
