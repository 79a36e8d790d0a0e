package manifests

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// sizes are the applications that are measured: one of the usual size, two of many ConfigMaps of 1 KiB, and one of
// many workloads.
var sizes = []struct {
	name string
	of   func(b *testing.B) Set
}{
	{"4", func(b *testing.B) Set { return app(b, 1) }},
	{"1000ConfigMaps", func(b *testing.B) Set { return configMaps(b, 1000) }},
	{"5000ConfigMaps", func(b *testing.B) Set { return configMaps(b, 5000) }},
	{"100Workloads", func(b *testing.B) Set { return app(b, 100) }},
}

// app is so many times a Deployment, a ServiceAccount, a Service and an Ingress.
func app(b *testing.B, times int) Set {
	var texts []string
	for i := range times {
		name := fmt.Sprintf("app-%04d", i)
		for _, text := range []string{
			`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"NAME","namespace":"shop","labels":{"app":"NAME"}},"spec":{"replicas":0,
				"selector":{"matchLabels":{"app":"NAME"}},"template":{"metadata":{"labels":{"app":"NAME"}},"spec":{"serviceAccountName":"NAME",
				"containers":[{"name":"web","image":"ghcr.io/acme/NAME:1.2.3","ports":[{"containerPort":8080}],
				"env":[{"name":"A","value":"1"},{"name":"B","value":"2"}],"resources":{"limits":{"memory":"64Mi"},"requests":{"cpu":"10m"}}}]}}}}`,
			`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"NAME","namespace":"shop"}}`,
			`{"apiVersion":"v1","kind":"Service","metadata":{"name":"NAME","namespace":"shop"},"spec":{"selector":{"app":"NAME"},"ports":[{"port":80,"targetPort":8080}]}}`,
			`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"NAME","namespace":"shop"},"spec":{"rules":[{"host":"NAME.example.com",
				"http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"NAME","port":{"number":80}}}}]}}]}}`,
		} {
			texts = append(texts, strings.ReplaceAll(text, "NAME", name))
		}
	}
	return read(b, texts)
}

// configMaps is so many ConfigMaps of 1 KiB.
func configMaps(b *testing.B, many int) Set {
	var texts []string
	for i := range many {
		texts = append(texts, fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"config-%05d","namespace":"shop"},"data":{"value":%q}}`,
			i, strings.Repeat(fmt.Sprintf("%08x", i*2654435761), 128)))
	}
	return read(b, texts)
}

func read(b *testing.B, texts []string) Set {
	var objects []Object
	for i, text := range texts {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON([]byte(text)); err != nil {
			b.Fatal(err)
		}
		o, err := NewObject(u, fmt.Sprintf("deploy/%d.yaml", i))
		if err != nil {
			b.Fatal(err)
		}
		objects = append(objects, o)
	}
	s, err := NewSet(objects...)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// transformed measures a step that makes a set of another.
func transformed(b *testing.B, step func(Set) (Set, error)) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			objects := size.of(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := step(objects); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// pinsOf is a pin for each image of a set.
func pinsOf(s Set) Pins {
	pins := Pins{}
	for _, image := range ImageNames(s.Images(nil)) {
		name, _, _ := strings.Cut(image, ":")
		pins[image] = name + "@sha256:" + strings.Repeat("0123456789abcdef", 4)
	}
	return pins
}

func BenchmarkNewSet(b *testing.B) {
	transformed(b, func(s Set) (Set, error) { return NewSet(s.Objects()...) })
}

func BenchmarkEncodeSecrets(b *testing.B) {
	transformed(b, Set.EncodeSecrets)
}

func BenchmarkWithoutAggregatedRules(b *testing.B) {
	transformed(b, Set.WithoutAggregatedRules)
}

func BenchmarkOwnedBy(b *testing.B) {
	transformed(b, func(s Set) (Set, error) { return s.OwnedBy("shop", "cart") })
}

func BenchmarkStampTemplates(b *testing.B) {
	transformed(b, Set.StampTemplates)
}

func BenchmarkPin(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			objects := size.of(b)
			pins := pinsOf(objects)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := objects.Pin(pins, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkImages(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			objects := size.of(b)
			b.ReportAllocs()
			for b.Loop() {
				objects.Images(nil)
			}
		})
	}
}

// BenchmarkDigest measures the digest of a set that has not been asked for it.
func BenchmarkDigest(b *testing.B) {
	transformed(b, func(s Set) (Set, error) {
		fresh, err := NewSet(s.objects...)
		fresh.Digest()
		return fresh, err
	})
}

func BenchmarkIDs(b *testing.B) {
	transformed(b, func(s Set) (Set, error) {
		fresh, err := NewSet(s.objects...)
		fresh.IDs()
		return fresh, err
	})
}

func BenchmarkIndex(b *testing.B) {
	transformed(b, func(s Set) (Set, error) { s.Index(); return s, nil })
}

func BenchmarkWithout(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			ids := size.of(b).IDs()
			half := ids[len(ids)/2:]
			b.ReportAllocs()
			for b.Loop() {
				Without(ids, half)
			}
		})
	}
}

// BenchmarkPolicies measures what is asked of each object's annotations in a pass that writes it.
func BenchmarkPolicies(b *testing.B) {
	transformed(b, func(s Set) (Set, error) {
		for _, o := range s.objects {
			if err := o.CheckPolicy(); err != nil || o.LeftAlone() || o.CreatedOnly() || o.Hook() != NoHook || o.Wave() != 0 {
				b.Fatal(err)
			}
		}
		return s, nil
	})
}

// BenchmarkRecordJSON measures writing a set as text, and reading it back.
func BenchmarkRecordJSON(b *testing.B) {
	for _, size := range sizes {
		objects := size.of(b)
		text, err := json.Marshal(objects)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encode/"+size.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := json.Marshal(objects); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode/"+size.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var back Set
				if err := json.Unmarshal(text, &back); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
