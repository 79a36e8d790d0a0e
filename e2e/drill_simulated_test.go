package e2e

import (
	"fmt"
	"slices"
)

// simulatedSicknesses are those for which nothing has to run.
var simulatedSicknesses = slices.Concat(unscheduled, ofTheAPI, custom, uncreated, played, refusedBefore)

// briefly is for what only the deadline finds.
const briefly = "{timeout: 25s, stableFor: 1s}"

// played are failures of pods that simulated nodes play.
var played = []sickness{
	{
		name: "simulated-pull", reason: "ImagePullBackOff", message: "pod web-.*, container web: .*not found",
		change: failing("ImagePullBackOff"),
	},
	{
		name: "simulated-crash", reason: "CrashLoopBackOff", message: "pod web-.*, container web: exit code 1",
		change: failing("CrashLoopBackOff"), added: manyObjects,
	},
	{
		name: "simulated-crash-in-a-wave", reason: "CrashLoopBackOff", message: "Deployment/.*/web: CrashLoopBackOff: pod web-",
		change: failing("CrashLoopBackOff"),
		added:  "{apiVersion: v1, kind: ConfigMap, metadata: {name: later, annotations: {belay.dev/wave: '2'}}}",
	},
	{
		name: "simulated-never-ready", reason: "TimedOut", message: "not healthy within 25s: .*pod web-.* is not ready",
		change: failing("NeverReady"), health: briefly,
	},
	{
		name: "simulated-no-progress", reason: "ProgressDeadlineExceeded", message: "Deployment/.*/web: ",
		change: web("progressDeadlineSeconds: 4, template: {metadata: {annotations: {simulate.belay.dev/fail: NeverReady}}}"),
	},
	{
		name: "simulated-turns-bad", reason: "CrashLoopBackOff", message: "pod web-.*, container web: exit code 1",
		change: container("args: [new]"), health: "{timeout: 4m, stableFor: 1s, watchFor: 4m}",
		then: "annotate pods --selector=app=web simulate.belay.dev/fail=CrashLoopBackOff",
	},
}

// unscheduled are pods that no node takes.
var unscheduled = []sickness{
	{
		name: "node-selector", reason: "Unschedulable", message: "pod web-.*didn't match Pod's node affinity/selector",
		change: web("template: {spec: {nodeSelector: {disk: fast}}}"),
	},
	{
		name: "too-large", reason: "Unschedulable", message: "pod web-.*Insufficient cpu",
		change: container("resources: {requests: {cpu: 1000}}"),
	},
	{
		name: "taint", reason: "Unschedulable", message: "pod web-.*untolerated taint",
		change: web("template: {spec: {nodeSelector: {drill: tainted}}}"),
		before: "{apiVersion: v1, kind: Node, metadata: {name: $NS, labels: {drill: tainted}, annotations: {kwok.x-k8s.io/node: fake}}, " +
			"spec: {taints: [{key: drill, value: reserved, effect: NoSchedule}]}}",
	},
	{
		name: "anti-affinity", reason: "Unschedulable", message: "pod web-.*anti-affinity",
		change: web("replicas: 2, template: {spec: {affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [" +
			"{topologyKey: kubernetes.io/os, labelSelector: {matchLabels: {app: web}}}]}}}}"),
	},
	{
		name: "volume-class-missing", reason: "ClaimUnbound", message: "pod web-.*PersistentVolumeClaim data: there is no StorageClass nowhere",
		change: web("template: {spec: {volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]}}"),
		added: "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {storageClassName: nowhere, accessModes: [ReadWriteOnce], " +
			"resources: {requests: {storage: 1Gi}}}}",
		leaves: []string{"PersistentVolumeClaim/data"},
	},
	{
		name: "volume-claim-missing", reason: "ClaimUnbound", message: "pod web-.*PersistentVolumeClaim data: it does not exist",
		change: web("template: {spec: {volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]}}"),
	},
	{
		name: "stateful-set-volume", reason: "ClaimUnbound", message: "pod db-0, PersistentVolumeClaim data-db-0: there is no StorageClass nowhere",
		added: workload("apps/v1", "StatefulSet", "db", "serviceName: db, volumeClaimTemplates: [{metadata: {name: data}, spec: {storageClassName: nowhere, "+
			"accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}], ", ""),
		leaves: []string{"PersistentVolumeClaim/data-db-0"},
	},
}

// uncreated are pods that the API server does not take.
var uncreated = []sickness{
	{
		name: "quota", reason: "FailedCreate", message: "exceeded quota: pods",
		before: "{apiVersion: v1, kind: ResourceQuota, metadata: {name: pods}, spec: {hard: {pods: 1}}}",
		change: web("replicas: 2"),
	},
	{
		name: "limit-range", reason: "FailedCreate", message: "maximum cpu usage per Container is 1",
		before: "{apiVersion: v1, kind: LimitRange, metadata: {name: cpu}, spec: {limits: [{type: Container, max: {cpu: 1}}]}}",
		change: container("resources: {requests: {cpu: 2}, limits: {cpu: 2}}"),
	},
	{
		name: "pod-security", reason: "FailedCreate", message: "violates PodSecurity .*host namespaces",
		before: "{apiVersion: v1, kind: Namespace, metadata: {name: $NS, labels: {pod-security.kubernetes.io/enforce: baseline}}}",
		change: web("template: {spec: {hostNetwork: true}}"),
	},
	{
		name: "policy-on-pods", reason: "FailedCreate", message: "nobody wants arguments",
		before: policy("pods", "object.spec.containers.all(c, !has(c.args))", "nobody wants arguments"),
		change: container("args: [one]"),
	},
	{
		// A webhook that does not answer may do so later: the deadline finds it.
		name: "webhook-on-pods", reason: "TimedOut", message: "not healthy within 25s: .*failed calling webhook", health: briefly,
		before: "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: $NS}, webhooks: [{name: nobody.example.org, " +
			"clientConfig: {url: 'https://127.0.0.1:1/'}, namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $NS}}, objectSelector: {matchLabels: {hooked: 'yes'}}, " +
			"rules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}], sideEffects: None, admissionReviewVersions: [v1]}]}",
		change: web("template: {metadata: {labels: {hooked: 'yes'}}}"),
	},
	{
		name: "service-account-missing", reason: "FailedCreate", message: `serviceaccount "nobody" not found`,
		change: web("template: {spec: {serviceAccountName: nobody}}"),
	},
	{
		name: "priority-class-missing", reason: "FailedCreate", message: "no PriorityClass with name nowhere was found",
		change: web("template: {spec: {priorityClassName: nowhere}}"),
	},
	{
		name: "runtime-class-missing", reason: "FailedCreate", message: `RuntimeClass "nowhere" not found`,
		change: web("template: {spec: {runtimeClassName: nowhere}}"),
	},
	{
		name: "stateful-set-account", reason: "FailedCreate", message: `StatefulSet/.*/db: .*serviceaccount "nobody" not found`,
		added: "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {serviceName: db, selector: {matchLabels: {app: db}}, template: {" +
			"metadata: {labels: {app: db}}, spec: {serviceAccountName: nobody, containers: [{name: main, image: $IMAGE}]}}}}",
	},
	{
		name: "daemon-set-account", reason: "FailedCreate", message: `DaemonSet/.*/agent: .*serviceaccount "nobody" not found`,
		added: "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent}, spec: {selector: {matchLabels: {app: agent}}, template: {" +
			"metadata: {labels: {app: agent}}, spec: {serviceAccountName: nobody, containers: [{name: main, image: $IMAGE}]}}}}",
	},
	{
		name: "job-account", reason: "FailedCreate", message: `Job/.*/migrate: .*serviceaccount "nobody" not found`,
		added: "{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {template: {spec: {restartPolicy: Never, serviceAccountName: nobody, " +
			"containers: [{name: main, image: $IMAGE}]}}}}",
	},
}

// ofTheAPI are those that the API server itself tells of, or shows at the first write.
var ofTheAPI = []sickness{
	{
		name: "crd-names-taken", reason: "KindConflict|ListKindConflict", message: "CustomResourceDefinition/knots.taken.example.com: .*Rope",
		before: crdOf("taken.example.com", "ropes", "Rope"), added: crdOf("taken.example.com", "knots", "Rope"),
	},
	{
		name: "api-service-without-backend", reason: "TimedOut", message: "APIService/.*(ServiceNotFound|service/nobody)",
		added: "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.$NS.example.com}, spec: {group: $NS.example.com, version: v1, " +
			"groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, service: {namespace: $NS, name: nobody, port: 443}}}",
		health: briefly,
	},
	{
		name: "policy-at-the-write", reason: "AdmissionDenied", message: "nobody wants this",
		before: policy("configmaps", "request.dryRun || object.metadata.name != 'unwanted'", "nobody wants this"),
		added:  "{apiVersion: v1, kind: ConfigMap, metadata: {name: wanted}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: unwanted}}",
	},
	{
		name: "quota-at-the-write", reason: "QuotaExceeded", message: "exceeded quota: configmaps",
		before: "{apiVersion: v1, kind: ResourceQuota, metadata: {name: configmaps}, spec: {hard: {count/configmaps: 3}}}",
		added:  "{apiVersion: v1, kind: ConfigMap, metadata: {name: third}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: fourth}}",
		health: briefly,
	},
}

// refusedBefore are releases of which nothing is written.
var refusedBefore = []sickness{
	{
		name: "tag-missing", reason: "NotFound", message: "drill:nowhere", notYet: true,
		change: container("image: $REGISTRY/drill:nowhere"),
	},
	{
		name: "field-misspelt", reason: "Invalid", message: "replicsa", notYet: true,
		added: workload("apps/v1", "Deployment", "more", "replicsa: 2, ", ""),
	},
	{
		name: "field-immutable", reason: "ImmutableField", message: "immutable", notYet: true,
		change: "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {part: front}}, template: {metadata: {labels: {part: front}}}}}",
	},
	{
		name: "policy-on-writes", reason: "AdmissionDenied", message: "nobody wants this", notYet: true,
		before: policy("configmaps", "object.metadata.name != 'unwanted'", "nobody wants this"),
		added:  "{apiVersion: v1, kind: ConfigMap, metadata: {name: unwanted}}",
	},
	{
		name: "kind-unknown", reason: "UnknownKind", message: "Sail", notYet: true,
		added: "{apiVersion: nobody.example.com/v1, kind: Sail, metadata: {name: main}}",
	},
}

// manyObjects are of many kinds, to be taken away again.
const manyObjects = `
{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}}
---
{apiVersion: v1, kind: Secret, metadata: {name: extra}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: extra}}
---
{apiVersion: v1, kind: Service, metadata: {name: extra}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: $NS}, rules: []}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: extra}, rules: []}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: extra}, spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: extra}, spec: {defaultBackend: {service: {name: extra, port: {number: 80}}}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: extra}, spec: {schedule: 0 0 1 1 *, jobTemplate: {spec: {template: {spec: {
  restartPolicy: Never, containers: [{name: main, image: $IMAGE}]}}}}}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: extra}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: $IMAGE}]}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: extra}, spec: {serviceName: extra, selector: {matchLabels: {app: extra}}, template: {
  metadata: {labels: {app: extra}}, spec: {containers: [{name: main, image: $IMAGE}]}}}}
`

// web is a patch of what every good release has.
func web(spec string) string {
	return "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {" + spec + "}}"
}

// container is a patch of its only container.
func container(fields string) string {
	return web("template: {spec: {containers: [{name: web, " + fields + "}]}}")
}

// failing has the pods fail in a way that simulated nodes play: see e2e/cluster/README.md.
func failing(how string) string {
	return web("template: {metadata: {annotations: {simulate.belay.dev/fail: " + how + "}}}")
}

// policy refuses the namespace's objects of a core resource for which an expression in CEL is false.
func policy(resource, expression, message string) string {
	return fmt.Sprintf(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: $NS}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [%s]}]}
  validations: [{expression: %q, message: %q}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: $NS}
spec:
  policyName: $NS
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $NS}}}
`, resource, expression, message)
}
