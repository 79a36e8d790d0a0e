package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// appsPerNamespace is how many Syncs share a namespace, with their objects: teams have a namespace, and several apps in it.
const appsPerNamespace = 10

// app is one of many that are alike: four objects, at a version each.
type app struct {
	number    int
	namespace string
}

// apps are so many apps, in namespaces whose names begin with a prefix.
func apps(n int, prefix string) []app {
	all := make([]app, n)
	for i := range all {
		all[i] = app{number: i + 1, namespace: fmt.Sprintf("%s-%03d", prefix, i/appsPerNamespace)}
	}
	return all
}

func (a app) name() string { return fmt.Sprintf("app-%04d", a.number) }
func (a app) path() string { return "apps/" + a.name() }
func (a app) key() string  { return a.namespace + "/" + a.name() }

func keys(all []app) []string {
	var keys []string
	for _, a := range all {
		keys = append(keys, a.key())
	}
	return keys
}

// object is a kind of object of an app. Both formats take the app's name and its version.
type object struct {
	file, collection string
	format           string
}

// deployment starts no pod, and names its image by digest, so that there is no registry in what is measured.
const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
  labels:
    app.kubernetes.io/name: %[1]s
    app.kubernetes.io/version: %[2]q
spec:
  replicas: 0
  selector:
    matchLabels:
      app.kubernetes.io/name: %[1]s
  template:
    metadata:
      labels:
        app.kubernetes.io/name: %[1]s
    spec:
      serviceAccountName: %[1]s
      containers:
      - name: web
        image: registry.example.com/acme/web@sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097
        args: [serve, --listen=:8080]
        env:
        - name: VERSION
          value: %[2]q
        ports:
        - name: http
          containerPort: 8080
        readinessProbe:
          httpGet: {path: /healthz, port: http}
        resources:
          requests: {cpu: 10m, memory: 32Mi}
          limits: {memory: 128Mi}
`

// objects are those of an app.
var objects = []object{
	{"serviceaccount.yaml", "/api/v1/namespaces/%s/serviceaccounts", `apiVersion: v1
kind: ServiceAccount
metadata:
  name: %[1]s
  labels:
    app.kubernetes.io/name: %[1]s
    app.kubernetes.io/version: %[2]q
automountServiceAccountToken: false
`},
	{"deployment.yaml", "/apis/apps/v1/namespaces/%s/deployments", deployment},
	{"service.yaml", "/api/v1/namespaces/%s/services", `apiVersion: v1
kind: Service
metadata:
  name: %[1]s
  labels:
    app.kubernetes.io/name: %[1]s
    app.kubernetes.io/version: %[2]q
spec:
  selector:
    app.kubernetes.io/name: %[1]s
  ports:
  - name: http
    port: 80
    targetPort: http
`},
	{"ingress.yaml", "/apis/networking.k8s.io/v1/namespaces/%s/ingresses", `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: %[1]s
  labels:
    app.kubernetes.io/name: %[1]s
    app.kubernetes.io/version: %[2]q
spec:
  ingressClassName: nginx
  rules:
  - host: %[1]s.example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: %[1]s
            port:
              name: http
`},
}

// files is an app's part of the repository, at a version.
func (a app) files(version string) map[string]string {
	files := map[string]string{}
	for _, o := range objects {
		files[a.path()+"/"+o.file] = fmt.Sprintf(o.format, a.name(), version)
	}
	return files
}

// filesOf is the repository of all of them.
func filesOf(all []app, version string) map[string]string {
	files := map[string]string{}
	for _, a := range all {
		for path, text := range a.files(version) {
			files[path] = text
		}
	}
	return files
}

// deploymentFile is the app with nothing but its Deployment at another version.
func (a app) deploymentFile(version string) map[string]string {
	return map[string]string{a.path() + "/deployment.yaml": fmt.Sprintf(deployment, a.name(), version)}
}

// writes are the requests that apply the app at a version, each body as belay makes it, with the labels of its Sync.
func (a app) writes(version string) ([]write, error) {
	var writes []write
	for _, o := range objects {
		w, err := applyOf(a.namespace, a.name(), o.collection, fmt.Sprintf(o.format, a.name(), version))
		if err != nil {
			return nil, err
		}
		writes = append(writes, w)
	}
	return writes, nil
}

// loadsOf are the floor's requests for a release of each app: number 1 is its first.
func loadsOf(all []app, number int) ([]load, error) {
	var loads []load
	for _, a := range all {
		applies, err := a.writes(fmt.Sprintf("%d.0.0", number))
		if err != nil {
			return nil, err
		}
		one, err := newLoad(a.namespace, a.name(), number, applies)
		if err != nil {
			return nil, err
		}
		loads = append(loads, one)
	}
	return loads, nil
}

// applyOf is the request that applies an object of a Sync.
func applyOf(namespace, sync, collection, text string) (write, error) {
	var value map[string]any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return write{}, err
	}
	meta := value["metadata"].(map[string]any)
	meta["namespace"] = namespace
	labels, _ := meta["labels"].(map[string]any)
	if labels == nil {
		labels = map[string]any{}
	}
	labels["bench.belay.dev/sync"], labels["bench.belay.dev/namespace"] = sync, namespace
	meta["labels"] = labels
	body, err := json.Marshal(value)
	return write{
		method: "PATCH", path: fmt.Sprintf(collection, namespace) + "/" + meta["name"].(string) + "?fieldManager=floor&fieldValidation=Strict&force=true",
		contentType: applyType, body: body,
	}, err
}

// syncFormat is a Sync of a path in a repository.
const syncFormat = `{"apiVersion":"belay.dev/v1alpha1","kind":"Sync","metadata":{"name":%q,"namespace":%q},"spec":{
	"source":{"url":%q,"path":%q,"interval":%q},"images":{"resolve":"Never"},"health":{"timeout":"5m","stableFor":"0s"}}}`

// syncOf is the Sync of that name, of a path in a repository.
func (o options) syncOf(key, url, path string) string {
	namespace, name, _ := strings.Cut(key, "/")
	return fmt.Sprintf(syncFormat, name, namespace, url, path, o.interval)
}

// createSyncs makes the namespaces, and a Sync for each app.
func (t *target) createSyncs(ctx context.Context, all []app, url string) error {
	if err := t.createNamespaces(ctx, all); err != nil {
		return err
	}
	for _, a := range all {
		if err := t.admin.create(ctx, syncsPath(a.namespace), t.syncOf(a.key(), url, a.path())); err != nil {
			return err
		}
	}
	return nil
}

func (t *target) createNamespaces(ctx context.Context, all []app) error {
	made := map[string]bool{}
	for _, a := range all {
		if made[a.namespace] {
			continue
		}
		made[a.namespace] = true
		if err := t.admin.create(ctx, "/api/v1/namespaces", `{"metadata":{"name":"`+a.namespace+`"}}`); err != nil {
			return err
		}
	}
	return nil
}

func syncsPath(namespace string) string {
	return "/apis/belay.dev/v1alpha1/namespaces/" + namespace + "/syncs"
}

// poke has belay look at a Sync now.
func (t *target) poke(ctx context.Context, key, at string) error {
	namespace, name, _ := strings.Cut(key, "/")
	body := fmt.Sprintf(`{"metadata":{"annotations":{"belay.dev/sync-at":%q}}}`, at)
	_, err := t.admin.do(ctx, "PATCH", syncsPath(namespace)+"/"+name, mergeType, []byte(body))
	return err
}
