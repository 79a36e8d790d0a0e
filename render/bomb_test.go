package render_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/belay-gitops/belay/render"
)

// aliasBomb is an object of some hundred bytes that stands for 9^9 nodes.
func aliasBomb() string {
	var text strings.Builder
	text.WriteString(configMap("bomb") + "data:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&text, "  a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
	}
	return text.String()
}

func TestAnAliasBombIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	indented := strings.ReplaceAll(aliasBomb(), "\n", "\n    ")
	for name, files := range map[string]map[string]string{
		"plain":         {"a.yaml": aliasBomb()},
		"resource":      {"a.yaml": aliasBomb(), "kustomization.yaml": "resources: [a.yaml]\n"},
		"patch":         {"a.yaml": configMap("a"), "p.yaml": aliasBomb(), "kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\n"},
		"inline patch":  {"a.yaml": configMap("a"), "kustomization.yaml": "resources: [a.yaml]\npatches:\n- patch: |\n    " + indented},
		"inline merge":  {"a.yaml": configMap("a"), "kustomization.yaml": "resources: [a.yaml]\npatchesStrategicMerge:\n- |\n    " + indented},
		"kustomization": {"kustomization.yaml": strings.ReplaceAll(aliasBomb(), "ConfigMap", "Kustomization")},
		"data and resource": {"a.yaml": aliasBomb(), "b/x.yaml": configMap("x"), "b/kustomization.yaml": "resources: [x.yaml]\nconfigMapGenerator: [{name: made, files: [../a.yaml]}]\n",
			"kustomization.yaml": "resources: [b, a.yaml]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := fstest.MapFS{}
			for file, text := range files {
				tree[file] = &fstest.MapFile{Data: []byte(text)}
			}
			for way, child := range everyWay(t, process(t)) {
				start := time.Now()
				_, err := child.Build(t.Context(), tree, "")
				fails(t, err, render.TooLarge, "")
				if !strings.Contains(err.Error(), "aliases expand to more than 100000 nodes") {
					t.Error(way, err)
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("%s took %s", way, took)
				}
			}
		})
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	deep := configMap("a") + "data:\n  a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n"
	chained := configMap("a") + "data:\n  a0: &a0 [x]\n"
	for i := 1; i < 200; i++ {
		chained += fmt.Sprintf("  a%d: &a%d [*a%d]\n", i, i, i-1)
	}
	for _, text := range []string{deep, chained} {
		_, err := render.Build(fstest.MapFS{"a.yaml": {Data: []byte(text)}}, "", render.Limits{})
		fails(t, err, render.TooLarge, "")
	}
}

func TestAliasesInReasonAreFine(t *testing.T) {
	text := configMap("a") + "  labels: &labels {app: a}\n  annotations: *labels\n"
	same(t, build(t, fstest.MapFS{"a.yaml": {Data: []byte(text)}}, ""), []string{"ConfigMap/a (a.yaml)"})
}

// layerBomb doubles its one object with every layer.
func layerBomb(layers int) fstest.MapFS {
	tree := fstest.MapFS{
		"l0/a.yaml":             {Data: []byte(configMap("a"))},
		"l0/kustomization.yaml": {Data: []byte("resources: [a.yaml]\n")},
	}
	for i := 1; i <= layers; i++ {
		for _, half := range []string{"x", "y"} {
			tree[fmt.Sprintf("l%d%s/kustomization.yaml", i, half)] = &fstest.MapFile{Data: fmt.Appendf(nil, "namePrefix: %s-\nresources: [../l%d]\n", half, i-1)}
		}
		tree[fmt.Sprintf("l%d/kustomization.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "resources: [../l%dx, ../l%dy]\n", i, i)}
	}
	return tree
}

func TestALayerBombIsRefused(t *testing.T) {
	t.Parallel()
	set, err := render.Build(layerBomb(3), "l3", render.Limits{})
	if err != nil || set.Len() != 8 {
		t.Fatalf("three layers make %d objects, %v", set.Len(), err)
	}
	for way, child := range everyWay(t, process(t)) {
		start := time.Now()
		_, err = child.Build(t.Context(), layerBomb(40), "l40")
		fails(t, err, render.TooLarge, "")
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %s", way, took)
		}
	}
}
