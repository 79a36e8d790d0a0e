package render

import (
	"errors"
	"testing"
	"testing/fstest"
)

func TestCommentsAlone(t *testing.T) {
	const comments = "# nothing here any more\n---\n# nor here\n"
	const settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  int // objects; 0 for NothingRendered
	}{
		{"plain, nothing else", map[string]string{"a.yaml": comments}, 0},
		{"plain, an empty file", map[string]string{"a.yaml": ""}, 0},
		{"plain, among others", map[string]string{"a.yaml": comments, "b.yaml": settings}, 1},
		{"plain, between documents", map[string]string{"a.yaml": "# a\n---\n" + settings + "---\n# b\n---\n"}, 1},
		{"a kustomization of comments", map[string]string{"kustomization.yaml": comments}, 0},
		{"a kustomization of nothing", map[string]string{"kustomization.yaml": "resources: []\n"}, 0},
		{"a kustomization of a file of comments", map[string]string{"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": comments}, 0},
		{"a kustomization of an empty file", map[string]string{"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": ""}, 0},
		{"a kustomization of one of comments among others", map[string]string{"kustomization.yaml": "resources: [a.yaml, b.yaml]\n", "a.yaml": comments, "b.yaml": settings}, 1},
		{"a kustomization of one whose base is empty", map[string]string{"kustomization.yaml": "resources: [base, b.yaml]\n", "base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": comments, "b.yaml": settings}, 1},
		{"a kustomization with comments between documents", map[string]string{"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": "# a\n---\n" + settings + "---\n# b\n---\n"}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for name, text := range test.files {
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			set, err := Build(tree, "", Limits{})
			var refusal *Error
			switch {
			case test.want == 0 && (!errors.As(err, &refusal) || refusal.Reason != NothingRendered):
				t.Errorf("%d objects, %v", set.Len(), err)
			case test.want > 0 && (err != nil || set.Len() != test.want):
				t.Errorf("%d objects, %v", set.Len(), err)
			}
		})
	}
}
