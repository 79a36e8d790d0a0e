package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
)

// shape is what a large application is like. Its objects are made here; nobody's are copied.
type shape struct {
	name       string
	kinds      int  // CustomResourceDefinitions
	large      int  // of them, with a schema of 500 KB
	each       int  // custom resources of each kind
	components int  // Deployments, each with an account, rights, a Service and a budget
	settings   int  // ConfigMaps
	kustomized bool // or else a plain folder
	caLater    bool // the webhooks' certificate authority is not in Git: the application fills it in, as many do
	api        bool // has an APIService
	always     bool // is tried without being asked for
}

// shapes are a service mesh, a serverless platform, a pipeline engine and a monitoring stack.
var shapes = []shape{
	{name: "pipelines", kinds: 6, large: 1, each: 2, components: 3, settings: 8, kustomized: true, caLater: true, always: true},
	{name: "mesh", kinds: 14, large: 3, each: 3, components: 4, settings: 20, kustomized: true},
	{name: "monitoring", kinds: 10, large: 6, each: 10, components: 6, settings: 60, api: true, always: true},
	{name: "serverless", kinds: 22, large: 22, each: 15, components: 12, settings: 200, caLater: true},
}

func (s shape) namespace() string { return s.name + "-system" }

func (s shape) group() string { return s.name + ".example.io" }

func (s shape) kind(i int) string {
	return fmt.Sprintf("%sPart%d", strings.ToUpper(s.name[:1])+s.name[1:], i)
}

func (s shape) plural(i int) string { return strings.ToLower(s.kind(i)) + "s" }

// object is one of the application's, in its namespace unless that is empty.
func (s shape) object(version, kind, namespace, name string, content object) object {
	metadata := object{
		"name":        name,
		"labels":      object{"app.kubernetes.io/part-of": s.name},
		"annotations": object{"example.io/by": "belay's tests"},
	}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	o := object{"apiVersion": version, "kind": kind, "metadata": metadata}
	maps.Copy(o, content)
	return o
}

const rbac = "rbac.authorization.k8s.io/v1"

// files are the application's, in the order in which a kustomization names them: what is needed comes after what needs it, and
// the Namespace last. Two releases differ in a ConfigMap, in a custom resource of each kind, and in the webhook's Deployment.
func (s shape) files(backend *backend, image string, release int) map[string][]object {
	files := map[string][]object{
		"10-admission.yaml": s.admission(backend),
		"20-rights.yaml":    s.rights(),
		"50-webhook.yaml":   s.component("webhook", image, fmt.Sprint(release)),
		"90-namespace.yaml": {s.object("v1", "Namespace", "", s.namespace(), nil)},
	}
	if s.api {
		files["15-api.yaml"] = s.aggregated(backend)
	}
	for i := range s.kinds {
		for j := range s.each {
			size := 1
			if j == 0 {
				size = release
			}
			files["30-custom.yaml"] = append(files["30-custom.yaml"], s.custom(i, j, size))
		}
		files[fmt.Sprintf("80-kind-%02d.yaml", i)] = []object{s.definition(i)}
	}
	for i := range s.components {
		files["50-components.yaml"] = append(files["50-components.yaml"], s.component(fmt.Sprintf("component-%d", i), image, "1")...)
	}
	for i := range s.settings {
		text := "1"
		if i == 0 {
			text = fmt.Sprint(release)
		}
		files["60-settings.yaml"] = append(files["60-settings.yaml"],
			s.object("v1", "ConfigMap", s.namespace(), fmt.Sprintf("settings-%03d", i), object{"data": object{"text": text}}))
	}
	return files
}

// component is a Deployment with what belongs to one. The binding comes before the Role, and both before the account.
func (s shape) component(name, image, release string) []object {
	labels := object{"app": name}
	subjects := []any{object{"kind": "ServiceAccount", "name": name, "namespace": s.namespace()}}
	ref := func(kind, name string) object {
		return object{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
	}
	metadata := object{"labels": object{"app": name, "release": release}}
	if name == "webhook" {
		metadata["annotations"] = object{"simulate.belay.dev/start": "slow"}
	}
	return []object{
		s.object(rbac, "RoleBinding", s.namespace(), name, object{"roleRef": ref("Role", name), "subjects": subjects}),
		s.object(rbac, "ClusterRoleBinding", "", s.name+"-"+name, object{"roleRef": ref("ClusterRole", s.name+"-all"), "subjects": subjects}),
		s.object("apps/v1", "Deployment", s.namespace(), name, object{"spec": object{
			"strategy": object{"type": "Recreate"},
			"selector": object{"matchLabels": labels},
			"template": object{"metadata": metadata, "spec": object{
				"serviceAccountName": name, "containers": []any{object{"name": "main", "image": image}},
			}},
		}}),
		s.object("policy/v1", "PodDisruptionBudget", s.namespace(), name, object{"spec": object{
			"minAvailable": 0, "selector": object{"matchLabels": labels},
		}}),
		s.object("v1", "Service", s.namespace(), name, object{"spec": object{"selector": labels, "ports": []any{object{"port": 443}}}}),
		s.object(rbac, "Role", s.namespace(), name, object{"rules": []any{
			object{"apiGroups": []any{""}, "resources": []any{"configmaps"}, "verbs": []any{"get", "list", "watch"}},
		}}),
		s.object("v1", "ServiceAccount", s.namespace(), name, nil),
	}
}

// rights are an aggregated ClusterRole, empty as Git has it, and what a controller fills it with.
func (s shape) rights() []object {
	selected := object{s.group() + "/aggregate": "true"}
	all := s.object(rbac, "ClusterRole", "", s.name+"-all", object{
		"aggregationRule": object{"clusterRoleSelectors": []any{object{"matchLabels": selected}}},
		"rules":           []any{},
	})
	objects := []object{all}
	for i := range s.kinds {
		part := s.object(rbac, "ClusterRole", "", fmt.Sprintf("%s-part-%d", s.name, i), object{"rules": []any{
			object{"apiGroups": []any{s.group()}, "resources": []any{s.plural(i)}, "verbs": []any{"*"}},
		}})
		maps.Copy(part["metadata"].(object)["labels"].(object), selected)
		objects = append(objects, part)
	}
	return objects
}

// admission are fail-closed webhooks that cover the application's own kinds, and its ConfigMaps.
func (s shape) admission(backend *backend) []object {
	webhook := func(verb string) []any {
		client := object{"url": backend.URL + "/" + verb}
		if !s.caLater {
			client["caBundle"] = backend.authority()
		}
		return []any{object{
			"name": verb + "." + s.group(), "clientConfig": client,
			"failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": []any{"v1"}, "timeoutSeconds": 5,
			"objectSelector": object{"matchLabels": object{"app.kubernetes.io/part-of": s.name}},
			"rules": []any{
				object{"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE", "UPDATE"}, "resources": []any{"configmaps"}},
				object{"apiGroups": []any{s.group()}, "apiVersions": []any{"*"}, "operations": []any{"CREATE", "UPDATE"}, "resources": []any{"*"}},
			},
		}}
	}
	const version = "admissionregistration.k8s.io/v1"
	return []object{
		s.object(version, "ValidatingWebhookConfiguration", "", s.name, object{"webhooks": webhook("validate")}),
		s.object(version, "MutatingWebhookConfiguration", "", s.name, object{"webhooks": webhook("mutate")}),
	}
}

// aggregated is an API that the application's own server has. The Service leads to the test's, at a name that the API server
// can reach.
func (s shape) aggregated(backend *backend) []object {
	return []object{
		s.object("apiregistration.k8s.io/v1", "APIService", "", "v1.api."+s.group(), object{"spec": object{
			"group": "api." + s.group(), "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": true,
			"service": object{"name": "api", "namespace": s.namespace(), "port": backend.port()},
		}}),
		s.object("v1", "Service", s.namespace(), "api", object{"spec": object{
			"type": "ExternalName", "externalName": "localhost", "ports": []any{object{"port": backend.port()}},
		}}),
	}
}

// definition is a CustomResourceDefinition, with a schema that is as large as those of real ones.
func (s shape) definition(i int) object {
	random := rand.New(rand.NewPCG(uint64(i), 1))
	properties, bytes := object{"size": object{"type": "integer"}}, 4<<10
	if i < s.large {
		bytes = 500 << 10
	}
	for written := 0; written < bytes; {
		text := prose(random, 60)
		written += len(text) + 60
		properties[fmt.Sprintf("field%d", len(properties))] = object{"type": "string", "description": text}
	}
	preserved := object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	return s.object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", s.plural(i)+"."+s.group(), object{"spec": object{
		"group": s.group(), "scope": "Namespaced",
		"names": object{"kind": s.kind(i), "plural": s.plural(i), "singular": strings.ToLower(s.kind(i))},
		"versions": []any{object{
			"name": "v1", "served": true, "storage": true, "subresources": object{"status": object{}},
			"schema": object{"openAPIV3Schema": object{"type": "object", "properties": object{
				"spec": object{"type": "object", "properties": properties}, "status": preserved,
			}}},
		}},
	}})
}

// prose is text that can be compressed about as well as people's.
func prose(random *rand.Rand, words int) string {
	var text strings.Builder
	for range words {
		for range 2 + random.IntN(3) {
			text.WriteByte("bcdfghklmnprst"[random.IntN(14)])
			text.WriteByte("aeiou"[random.IntN(5)])
		}
		text.WriteByte(' ')
	}
	return text.String()
}

func (s shape) custom(kind, i, size int) object {
	return s.object(s.group()+"/v1", s.kind(kind), s.namespace(), fmt.Sprintf("%s-%d", strings.ToLower(s.kind(kind)), i),
		object{"spec": object{"size": size}})
}
