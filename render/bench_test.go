package render_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/belay-gitops/belay/render"
)

// app is what most Syncs are: four objects, in files of their own.
func app() fstest.MapFS {
	return repository(`
-- base/deployment.yaml --
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, labels: {app: cart}}
spec:
  replicas: 0
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      serviceAccountName: cart
      containers:
      - name: cart
        image: ghcr.io/acme/cart:2.0
        ports: [{containerPort: 8080}]
        resources: {requests: {cpu: 10m, memory: 32Mi}}
-- base/service.yaml --
apiVersion: v1
kind: Service
metadata: {name: cart}
spec:
  selector: {app: cart}
  ports: [{port: 80, targetPort: 8080}]
-- base/account.yaml --
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart}
-- base/ingress.yaml --
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: cart}
spec:
  rules:
  - host: cart.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: cart, port: {number: 80}}}}]}
-- base/kustomization.yaml --
resources: [deployment.yaml, service.yaml, account.yaml, ingress.yaml]
-- overlay/kustomization.yaml --
namespace: shop
resources: [../base]
patches: [{path: replicas.yaml}]
-- overlay/replicas.yaml --
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart}
spec: {replicas: 2}
`)
}

// plainApp is app without a kustomization.
func plainApp() fstest.MapFS {
	tree := app()
	delete(tree, "base/kustomization.yaml")
	return tree
}

// configMapsOf1KiB are n of them, in one file or in a file each.
func configMapsOf1KiB(n int, oneFile bool) fstest.MapFS {
	tree := fstest.MapFS{}
	var all strings.Builder
	value := strings.Repeat("0123456789abcdef", 60)
	for i := range n {
		text := fmt.Sprintf("%sdata:\n  value: %s\n", configMap(fmt.Sprintf("cm-%05d", i)), value)
		if oneFile {
			all.WriteString("---\n" + text)
		} else {
			tree[fmt.Sprintf("cm-%05d.yaml", i)] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	if oneFile {
		tree["all.yaml"] = &fstest.MapFile{Data: []byte(all.String())}
	}
	return tree
}

var benchmarks = []struct {
	name string
	tree fstest.MapFS
	dir  string
}{
	{"4PlainFiles", plainApp(), "base"},
	{"Overlay", app(), "overlay"},
	{"1000ConfigMapsInAFile", configMapsOf1KiB(1000, true), ""},
	{"1000Files", configMapsOf1KiB(1000, false), ""},
	{"5000ConfigMapsInAFile", configMapsOf1KiB(5000, true), ""},
	{"5000Files", configMapsOf1KiB(5000, false), ""},
}

func BenchmarkBuild(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := render.Build(bench.tree, bench.dir, render.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPool has its allocations in this process alone, not in the child.
func BenchmarkPool(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			pool := &render.Pool{Process: process(b)}
			defer pool.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := pool.Build(b.Context(), bench.tree, bench.dir); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkProcess starts a child for each build.
func BenchmarkProcess(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			p := process(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Build(b.Context(), bench.tree, bench.dir); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
