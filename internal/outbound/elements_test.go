package outbound

import "testing"

func TestElements(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]int{
		``: {0, 0}, `{}`: {0, 0}, `[]`: {1, 0}, `[1]`: {1, 0}, `[1,2,3]`: {3, 0}, `{"a":[1,2]}`: {0, 2},
		`[{"a":[1,2]},{"a":[3]}]`: {2, 3}, `["a,b[","\"]",1]`: {3, 0}, `[[[]]]`: {1, 2},
		`[{"payload":[1,2,3],"a":[1]}]`: {1, 1}, `[{"payloads":[1,2]}]`: {1, 2}, `{"payload":[1,2]}`: {0, 2}, `[{"a":{"payload":[1,2]}}]`: {1, 2},
	} {
		if elements, nested := Elements([]byte(text), "payload"); elements != want[0] || nested != want[1] {
			t.Errorf("%s: %d and %d, want %v", text, elements, nested, want)
		}
	}
	if _, nested := Elements([]byte(`[{"":[1,2]}]`), ""); nested != 2 {
		t.Errorf("with nothing left out, %d", nested)
	}
}
