# tries: hands back text that is no Unicode, and names that are no names
# expect: bad_value|finished|raised

breached = {"\udcff": "\ud800", "": "\0", "__class__": "x"}
