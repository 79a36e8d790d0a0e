package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"strings"
)

// configMapSize is how many bytes of text a ConfigMap holds.
const configMapSize = 1 << 10

// configMaps are objects of one Sync.
type configMaps struct {
	n         int
	namespace string
}

func (c configMaps) name(i int) string { return fmt.Sprintf("settings-%05d", i) }

const configMapCollection = "/api/v1/namespaces/%s/configmaps"

// text is a ConfigMap in YAML. What a revision of it has that others have not is its last line.
func (c configMaps) text(i int, revision string) string {
	lines := strings.ReplaceAll(strings.TrimRight(properties(uint64(i), configMapSize-32), "\n"), "\n", "\n    ")
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  labels:\n    app.kubernetes.io/name: settings\ndata:\n  application.properties: |\n    %s\n    revision=%s\n",
		c.name(i), lines, revision)
}

// path is a file of its own for each, a hundred to a folder.
func (c configMaps) path(i int) string {
	return fmt.Sprintf("settings/%03d/%s.yaml", i/100, c.name(i))
}

func (c configMaps) files(revision string) map[string]string {
	files := map[string]string{}
	for i := range c.n {
		files[c.path(i)] = c.text(i, revision)
	}
	return files
}

// loads are the floor's requests for all of them, as one Sync's.
func (c configMaps) loads() ([]load, error) {
	var writes []write
	for i := range c.n {
		w, err := applyOf(c.namespace, "settings", configMapCollection, c.text(i, "1"))
		if err != nil {
			return nil, err
		}
		writes = append(writes, w)
	}
	one, err := newLoad(c.namespace, "settings", 1, writes)
	return []load{one}, err
}

// compressed is how much smaller gzip makes the YAML of all of them together.
func (c configMaps) compressed() float64 {
	var packed bytes.Buffer
	packer := gzip.NewWriter(&packed)
	size := 0
	for i := range c.n {
		n, _ := packer.Write([]byte(c.text(i, "1"))) // into memory
		size += n
	}
	packer.Close()
	return float64(size) / float64(packed.Len())
}

// Words that keys and values of settings are made of.
var (
	subjects = strings.Fields("cart catalog checkout customer billing invoice search session mail stock price order payment shipping audit tax media report")
	aspects  = strings.Fields("timeout.ms retries pool.size queue.depth endpoint cache.ttl log.level feature.enabled batch.size token region threshold password.min-length max.connections")
	levels   = strings.Fields("debug info warn error")
)

// properties is a generated text of settings, of about so many bytes: keys that repeat, values of which a third is random.
// The same seed makes the same text.
func properties(seed uint64, size int) string {
	random := rand.New(rand.NewPCG(seed, 6))
	pick := func(words []string) string { return words[random.IntN(len(words))] }
	var b strings.Builder
	for b.Len() < size {
		aspect := pick(aspects)
		key := pick(subjects) + "." + aspect
		switch aspect {
		case "endpoint":
			fmt.Fprintf(&b, "%s=https://%s-%d.%s.svc.example.com:%d/v%d\n", key, pick(subjects), random.IntN(90), pick(subjects), 8000+random.IntN(999), 1+random.IntN(4))
		case "token":
			fmt.Fprintf(&b, "%s=%016x%016x\n", key, random.Uint64(), random.Uint64())
		case "log.level":
			fmt.Fprintf(&b, "%s=%s\n", key, pick(levels))
		case "feature.enabled":
			fmt.Fprintf(&b, "%s=%t\n", key, random.IntN(2) == 0)
		case "region":
			fmt.Fprintf(&b, "%s=eu-%s-%d\n", key, pick([]string{"west", "north", "central"}), 1+random.IntN(3))
		default:
			fmt.Fprintf(&b, "%s=%d\n", key, random.IntN(60000))
		}
	}
	text := b.String()[:size]
	return text[:strings.LastIndexByte(text, '\n')+1]
}
