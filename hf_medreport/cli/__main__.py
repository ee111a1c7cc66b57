from hf_medreport.cli import main

main()
