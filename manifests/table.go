package manifests

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// table is what counts as having images, in any version of a kind. Kinds and paths are separated by spaces; a path is
// one of [Place.Path]. A project stands here if its own API says that the field is a container image, and if its
// operator takes a digest for one.
//
// The kinds of cert-manager, Kueue and Argo CD, and of the clouds' controllers, name no image. Operators that want a
// tag stand in [tagged]. A KafkaConnect's spec.build.output.image is what Strimzi pushes, not what it runs.
var table = []struct {
	project  string
	group    string
	kinds    string
	podSpecs string
	images   string
}{
	{"Kubernetes", "", "Pod", "spec", ""},
	{"Kubernetes", "", "PodTemplate", "template.spec", ""},
	{"Kubernetes", "", "ReplicationController", "spec.template.spec", ""},
	{"Kubernetes", "apps", "Deployment StatefulSet DaemonSet ReplicaSet", "spec.template.spec", ""},
	{"Kubernetes", "batch", "Job", "spec.template.spec", ""},
	{"Kubernetes", "batch", "CronJob", "spec.jobTemplate.spec.template.spec", ""},

	{"Argo Rollouts", "argoproj.io", "Rollout", "spec.template.spec", ""},
	{"Argo Rollouts", "argoproj.io", "Experiment", "spec.templates[*].template.spec", ""},
	{"Argo Rollouts", "argoproj.io", "AnalysisTemplate ClusterAnalysisTemplate", "spec.metrics[*].provider.job.spec.template.spec", ""},
	{"Argo Workflows", "argoproj.io", "Workflow WorkflowTemplate ClusterWorkflowTemplate", "", below("spec", argoWorkflow)},
	{"Argo Workflows", "argoproj.io", "CronWorkflow", "", below("spec.workflowSpec", argoWorkflow)},

	{"Knative Serving", "serving.knative.dev", "Service Configuration", "spec.template.spec", ""},
	{"Knative Serving", "serving.knative.dev", "Revision", "spec", ""},
	{"Knative Eventing", "sources.knative.dev", "ContainerSource", "spec.template.spec", ""},
	{"Knative Eventing", "sinks.knative.dev", "JobSink", "spec.job.spec.template.spec", ""},

	{"Tekton", "tekton.dev", "Task ClusterTask", "", below("spec", tektonTask)},
	{"Tekton", "tekton.dev", "StepAction", "", "spec.image"},
	{"Tekton", "tekton.dev", "TaskRun", "", below("spec.taskSpec", tektonTask)},
	{"Tekton", "tekton.dev", "Pipeline", "", below("spec.tasks[*].taskSpec spec.finally[*].taskSpec", tektonTask)},
	{"Tekton", "tekton.dev", "PipelineRun", "",
		below("spec.pipelineSpec.tasks[*].taskSpec spec.pipelineSpec.finally[*].taskSpec", tektonTask)},

	{"Kubeflow Training", "kubeflow.org", "TFJob", "spec.tfReplicaSpecs.*.template.spec", ""},
	{"Kubeflow Training", "kubeflow.org", "PyTorchJob", "spec.pytorchReplicaSpecs.*.template.spec", ""},
	{"Kubeflow Training", "kubeflow.org", "MPIJob", "spec.mpiReplicaSpecs.*.template.spec", ""},
	{"Kubeflow Training", "kubeflow.org", "XGBoostJob", "spec.xgbReplicaSpecs.*.template.spec", ""},
	{"Kubeflow Training", "kubeflow.org", "PaddleJob", "spec.paddleReplicaSpecs.*.template.spec", ""},
	{"Kubeflow Training", "kubeflow.org", "JAXJob", "spec.jaxReplicaSpecs.*.template.spec", ""},
	{"Kubeflow Training", "kubeflow.org", "MXJob", "spec.mxReplicaSpecs.*.template.spec", ""},
	{"Kubeflow Trainer", "trainer.kubeflow.org", "TrainJob", "", "spec.trainer.image"},
	{"Kubeflow Trainer", "trainer.kubeflow.org", "TrainingRuntime ClusterTrainingRuntime",
		"spec.template.spec.replicatedJobs[*].template.spec.template.spec", ""},
	{"Kubeflow Notebooks", "kubeflow.org", "Notebook", "spec.template.spec", ""},
	{"KServe", "serving.kserve.io", "InferenceService", "spec.predictor spec.transformer spec.explainer", ""},

	{"KubeRay", "ray.io", "RayCluster", below("spec", rayGroups), "spec.autoscalerOptions.image"},
	{"KubeRay", "ray.io", "RayJob", below("spec.rayClusterSpec", rayGroups) + " spec.submitterPodTemplate.spec",
		"spec.rayClusterSpec.autoscalerOptions.image"},
	{"KubeRay", "ray.io", "RayService", below("spec.rayClusterConfig", rayGroups), "spec.rayClusterConfig.autoscalerOptions.image"},
	{"Spark operator", "sparkoperator.k8s.io", "SparkApplication",
		below("spec", sparkTemplates), below("spec", sparkImages)},
	{"Spark operator", "sparkoperator.k8s.io", "ScheduledSparkApplication",
		below("spec.template", sparkTemplates), below("spec.template", sparkImages)},
	{"Volcano", "batch.volcano.sh", "Job", "spec.tasks[*].template.spec", ""},
	{"JobSet", "jobset.x-k8s.io", "JobSet", "spec.replicatedJobs[*].template.spec.template.spec", ""},
	{"LeaderWorkerSet", "leaderworkerset.x-k8s.io", "LeaderWorkerSet",
		"spec.leaderWorkerTemplate.leaderTemplate.spec spec.leaderWorkerTemplate.workerTemplate.spec", ""},
	{"KEDA", "keda.sh", "ScaledJob", "spec.jobTargetRef.template.spec", ""},

	{"OpenKruise", "apps.kruise.io", "CloneSet StatefulSet DaemonSet BroadcastJob", "spec.template.spec", ""},
	{"OpenKruise", "apps.kruise.io", "AdvancedCronJob",
		"spec.template.jobTemplate.spec.template.spec spec.template.broadcastJobTemplate.spec.template.spec", ""},
	{"OpenKruise", "apps.kruise.io", "UnitedDeployment", "spec.template.statefulSetTemplate.spec.template.spec " +
		"spec.template.advancedStatefulSetTemplate.spec.template.spec spec.template.cloneSetTemplate.spec.template.spec " +
		"spec.template.deploymentTemplate.spec.template.spec", ""},
	{"OpenKruise", "apps.kruise.io", "SidecarSet", "spec", ""},

	// Their versions are a field of their own (spec.version), whatever the image is called.
	{"Prometheus operator", "monitoring.coreos.com", "Prometheus", "spec", "spec.image spec.thanos.image"},
	{"Prometheus operator", "monitoring.coreos.com", "PrometheusAgent Alertmanager ThanosRuler", "spec", "spec.image"},
	{"OpenTelemetry operator", "opentelemetry.io", "OpenTelemetryCollector", "spec",
		"spec.image spec.additionalContainers[*].image spec.targetAllocator.image"},
	{"OpenTelemetry operator", "opentelemetry.io", "Instrumentation", "", "spec.java.image spec.nodejs.image spec.python.image " +
		"spec.dotnet.image spec.go.image spec.apacheHttpd.image spec.nginx.image"},
	{"Strimzi", "kafka.strimzi.io", "Kafka", "", "spec.kafka.image spec.kafka.brokerRackInitImage spec.zookeeper.image " +
		"spec.entityOperator.topicOperator.image spec.entityOperator.userOperator.image spec.entityOperator.tlsSidecar.image " +
		"spec.cruiseControl.image spec.cruiseControl.tlsSidecar.image spec.kafkaExporter.image"},
	{"Strimzi", "kafka.strimzi.io", "KafkaConnect KafkaMirrorMaker2 KafkaBridge", "", "spec.image spec.clientRackInitImage"},
	{"ECK", "elasticsearch.k8s.elastic.co", "Elasticsearch", "spec.nodeSets[*].podTemplate.spec", "spec.image"},
	{"ECK", "kibana.k8s.elastic.co", "Kibana", "spec.podTemplate.spec", "spec.image"},
	{"ECK", "apm.k8s.elastic.co", "ApmServer", "spec.podTemplate.spec", "spec.image"},
	{"ECK", "enterprisesearch.k8s.elastic.co", "EnterpriseSearch", "spec.podTemplate.spec", "spec.image"},
	{"ECK", "logstash.k8s.elastic.co", "Logstash", "spec.podTemplate.spec", "spec.image"},
	{"ECK", "maps.k8s.elastic.co", "ElasticMapsServer", "spec.podTemplate.spec", "spec.image"},
	{"ECK", "beat.k8s.elastic.co", "Beat", "spec.daemonSet.podTemplate.spec spec.deployment.podTemplate.spec", "spec.image"},
	{"ECK", "agent.k8s.elastic.co", "Agent", "spec.daemonSet.podTemplate.spec spec.deployment.podTemplate.spec " +
		"spec.statefulSet.podTemplate.spec", "spec.image"},
}

// tagged are images whose operators read something from the tag, so that a digest in its place would break them. They
// are left as they are written, unless somebody names the field as a [Place].
var tagged = []struct {
	project string
	group   string
	kinds   string
	images  string
	why     string
}{
	// https://cloudnative-pg.io/documentation/current/container_images/
	{"CloudNativePG", "postgresql.cnpg.io", "Cluster", "spec.imageName",
		"CloudNativePG reads the version of PostgreSQL from the tag"},
	// https://github.com/crossplane/crossplane/issues/7458
	{"Crossplane", "pkg.crossplane.io", "Provider Configuration Function", "spec.package",
		"Crossplane compares the tag with what other packages depend on"},
	// KServe writes another tag behind an image where runtimeVersion or a GPU asks for it (UpdateImageTag).
	{"KServe", "serving.kserve.io", "InferenceService", "spec.predictor.*.image spec.explainer.art.image", "KServe may replace the tag"},
	{"KServe", "serving.kserve.io", "ServingRuntime ClusterServingRuntime",
		"spec.containers[*].image spec.workerSpec.containers[*].image", "KServe may replace the tag"},
}

// What several kinds of a project have in common, below different fields.
var (
	argoTemplate = "container.image script.image initContainers[*].image sidecars[*].image containerSet.containers[*].image " +
		"volumes[*].image.reference"
	argoWorkflow = below("templates[*] templateDefaults templates[*].steps[*][*].inline templates[*].dag.tasks[*].inline", argoTemplate) +
		" volumes[*].image.reference"
	tektonTask     = "stepTemplate.image steps[*].image sidecars[*].image"
	rayGroups      = "headGroupSpec.template.spec workerGroupSpecs[*].template.spec"
	sparkTemplates = "driver.template.spec executor.template.spec"
	sparkImages    = "image " + below("driver executor", "image initContainers[*].image sidecars[*].image")
)

// annotationProxy names the proxy that Istio adds to a pod.
const annotationProxy = "sidecar.istio.io/proxyImage"

// templateAnnotations are annotations of a pod template that name images.
var templateAnnotations = []fieldPath{mustParse("metadata.annotations[" + annotationProxy + "]")}

// podImages are the places of images within a pod spec.
var podImages = []fieldPath{
	mustParse("initContainers[*].image"), mustParse("containers[*].image"), mustParse("ephemeralContainers[*].image"),
	mustParse("volumes[*].image.reference"),
}

// builtin is the table, and known the kinds in it, those whose images keep their tags included.
var builtin, known = readTable()

func readTable() (map[schema.GroupKind][]place, map[schema.GroupKind]bool) {
	places, known := map[schema.GroupKind][]place{}, map[schema.GroupKind]bool{}
	add := func(group, kinds, paths string, p place) {
		for kind := range strings.FieldsSeq(kinds) {
			gk := schema.GroupKind{Group: group, Kind: kind}
			known[gk] = true
			for text := range strings.FieldsSeq(paths) {
				p.path = mustParse(text)
				places[gk] = append(places[gk], p)
			}
		}
	}
	for _, row := range table {
		add(row.group, row.kinds, row.images, place{})
		add(row.group, row.kinds, row.podSpecs, place{podSpec: true})
	}
	for _, row := range tagged {
		add(row.group, row.kinds, row.images, place{left: row.why})
	}
	return places, known
}

// below is every path behind every one of fields.
func below(fields, paths string) string {
	var all []string
	for field := range strings.FieldsSeq(fields) {
		for path := range strings.FieldsSeq(paths) {
			all = append(all, field+"."+path)
		}
	}
	return strings.Join(all, " ")
}

func mustParse(text string) fieldPath {
	p, err := parsePath(text)
	if err != nil {
		panic(err)
	}
	return p
}
