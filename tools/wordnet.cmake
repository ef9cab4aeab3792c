# Makes the memories of the demo.
add_executable(mneme-wordnet wordnet_jsonl.cc)
target_link_libraries(mneme-wordnet PRIVATE mneme::base mneme_flags)
